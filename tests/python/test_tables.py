"""Sequences as people hold them: each kind is read as the same steps, or refused in a sentence."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.errors import InputError, UsageError
from ragline.components.serving import tables

COLUMNS = Columns(
    features=tuple(Feature(name=name, unit=None, allow_missing=True) for name in ("ax", "ay")),
    context={},
    categories=(Category(name="mode", kind="bytes"), Category(name="code", kind="int")),
)
NAMES = ("ax", "ay")
FRAME = pd.DataFrame(
    {
        "walk": ["b", "b", "a", "b", "a"],
        "t": [0.0, 2.0, 5.0, 1.0, 4.0],
        "ax": [1.0, 3.0, 20.0, 2.0, 10.0],
        "ay": [-1.0, -3.0, np.nan, -2.0, -10.0],
        "mode": ["x", "z", None, "y", "x"],
        "code": [7, 9, 2**60, 8, -1],
    }
)
VALUES = [[1, -1], [2, -2], [3, -3], [10, -10], [20, np.nan]]
WORDS = {"mode": [["x", "y", "z"], ["x", None]], "code": [[7, 8, 9], [-1, 2**60]]}
ARRAYS = [np.array(VALUES[:3]), np.array(VALUES[3:])]
PADDED = np.full((2, 4, 2), 1e30)
PADDED[0, :3], PADDED[1, :2] = ARRAYS
PARTS = [
    pd.DataFrame({"ay": a[:, 1], "ax": a[:, 0], "mode": m, "code": c})
    for a, m, c in zip(ARRAYS, WORDS["mode"], WORDS["code"], strict=True)
]
KINDS = {
    "pandas": (FRAME, {"id": "walk", "time": "t"}),
    "pandas, other columns first": (FRAME[FRAME.columns[::-1]], {"id": "walk", "time": "t"}),
    "pandas categories": (FRAME.astype({"walk": "category", "mode": "category"}),
                          {"id": "walk", "time": "t"}),
    "pandas times": (FRAME.assign(t=pd.to_datetime(FRAME.t, unit="s")),
                     {"id": "walk", "time": "t"}),
    "an index that is not 0, 1, ...": (FRAME.set_index(FRAME.t), {"id": "walk", "time": "t"}),
    "sorted, without a time": (FRAME.sort_values("t").sort_values("walk", ascending=False,
                               kind="stable").drop(columns="t"), {"id": "walk"}),
    "polars": (pl.DataFrame(FRAME.to_dict("list")).with_columns(pl.col("ay").fill_nan(None)),
               {"id": "walk", "time": "t"}),
    "polars categories": (pl.DataFrame(FRAME.to_dict("list")).cast({"mode": pl.Categorical,
                          "walk": pl.Categorical}), {"id": "walk", "time": "t"}),
    "Arrow": (pa.Table.from_pandas(FRAME), {"id": "walk", "time": "t"}),
    "a record batch": (pa.RecordBatch.from_pandas(FRAME), {"id": "walk", "time": "t"}),
    "a list": (ARRAYS, {"words": WORDS}),
    "lists": ([a.tolist() for a in ARRAYS], {"words": WORDS}),
    "a dict": (dict(zip("ba", ARRAYS, strict=True)),
               {"words": {k: dict(zip("ba", v, strict=True)) for k, v in WORDS.items()}}),
    "padded": (PADDED, {"lengths": [3, 2], "words": WORDS}),
    "frames": (PARTS, {}),
    "a dict of frames": (dict(zip("ba", map(pl.DataFrame, (p.to_dict("list") for p in PARTS)),
                                  strict=True)), {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_the_same_steps(kind):
    data, how = KINDS[kind]
    steps = tables.read(data, names=NAMES, **how)
    expected = [0, 1] if isinstance(data, list | np.ndarray) else ["b", "a"]
    assert [*steps.ids] == expected
    sequences = steps.sequences(COLUMNS)
    assert sequences.length.tolist() == [3, 2] and sequences.length.dtype == np.int64
    np.testing.assert_array_equal(sequences.values, np.array(VALUES, np.float32), strict=True)
    assert sequences.tokens["mode"].tolist() == ["x", "y", "z", "x", ""]
    assert sequences.tokens["code"].tolist() == [7, 8, 9, -1, 2**60]


def test_equal_times_stay_in_the_order_of_the_rows():
    frame = pd.DataFrame({"id": [1, 1, 1], "t": [3, 0, 0], "x": [1.0, 2.0, 3.0]})
    steps = tables.read(frame, id="id", time="t")
    assert steps.number_column("x").tolist() == [2.0, 3.0, 1.0]
    assert steps.time.to_pylist() == [0, 0, 3]


def test_a_list_of_arrays_of_one_feature_needs_no_second_axis():
    steps = tables.read([np.arange(3), np.arange(2.0)])
    assert steps.number_column("x0").tolist() == [0, 1, 2, 0, 1]


def _with(**columns):
    return FRAME.assign(**columns)


TABLE = {"id": "walk", "time": "t"}
REFUSED = {
    "a missing column": (FRAME.drop(columns="ay"), TABLE, "it lacks 'ay'"),
    "an extra one": (_with(az=1.0), TABLE, "it has 'az', which is none of them"),
    "both": (FRAME.rename(columns={"ay": "az"}), TABLE, "lacks 'ay' and has 'az'"),
    "no id": (FRAME, {}, "id: expected the column .* it has 'walk', 't'"),
    "an id that is not there": (FRAME, {"id": "w"}, "id: expected a column 'w', received 'walk'"),
    "a time that is not there": (FRAME, {"id": "walk", "time": "s"}, "time: expected a column 's'"),
    "rows without an id": (_with(walk=["b", None, "a", "b", "a"]), TABLE, "in every row of 'walk'"),
    "rows without a time": (_with(t=[0, np.nan, 1, 2, 3]), TABLE, "a time in every row of 't'"),
    "times as text": (_with(t=list("abcde")), TABLE, "numbers or timestamps in 't', received str"),
    "text for a number": (_with(ax=list("abcde")), TABLE, "'ax': expected numbers, received str"),
    "numbers for words": (_with(mode=1.5), TABLE, "'mode': expected text, received double"),
    "text for ids": (_with(code="a"), TABLE, "'code': expected integers, received string"),
    "ids that are missing": (_with(code=pd.array([1, None, 2, 3, 4], "Int64")), TABLE, "missing"),
    "infinity": (_with(ax=[1, 2, -np.inf, 4, 5]), TABLE, "'ax', sequence 'a': expected a finite"),
    "more than a float32": (_with(ax=[1, 1e39, 1, 4, 5]), TABLE, "'ax', sequence 'b': .* 1e"),
    "mixed types": (_with(ax=[1, "a", 2, 3, 4]), TABLE, "expected columns of one type each"),
    "a column twice": (FRAME[["walk", "t", "ax", "ax"]], TABLE, "each column once"),
    "no rows": (FRAME[:0], TABLE, "expected at least one sequence"),
    "a matrix": (np.zeros((3, 2)), {}, r"expected a table .* received ndarray \[3, 2\]"),
    "a sparse matrix": (sparse.csr_array(np.eye(3)), {}, "sparse data are not supported"),
    "a number": (3, {}, "expected a table with a row a step.* received int"),
    "lengths of a list": (ARRAYS, {"lengths": [3, 2]}, "lengths: expected with an array"),
    "too few lengths": (PADDED, {"lengths": [3]}, "lengths: expected 2 integers"),
    "a length of 0": (PADDED, {"lengths": [3, 0]}, "lengths: expected 1 to 4, received 0 at 1"),
    "a length beyond": (PADDED, {"lengths": [3, 5]}, "lengths: expected 1 to 4, received 5 at 1"),
    "words beside a table": (FRAME, {**TABLE, "words": WORDS}, "of a table, they are columns"),
    "an id of arrays": (ARRAYS, {"id": "walk"}, "id: expected a table with the column 'walk'"),
    "a time of arrays": (ARRAYS, {"time": "t"}, "time: expected tables with the column 't'"),
    "another width": ([ARRAYS[0], np.zeros((4, 3))], {}, r"sequence 1: expected \[T, 2\]"),
    "no step": ([ARRAYS[0], np.zeros((0, 2))], {}, r"with T >= 1, received \[0, 2\]"),
    "three axes": ([np.zeros((2, 2, 2))], {}, r"sequence 0: expected \[T, F\]"),
    "complex numbers": ([ARRAYS[0] * 1j], {}, "Complex data not supported"),
    "text in an array": ([np.array([["a", "b"]])], {}, "sequence 0: expected numbers"),
    "a frame without a row": ([PARTS[0], PARTS[1][:0]], {}, "sequence 1: expected at least one"),
    "frames that differ": ([PARTS[0], PARTS[1].drop(columns="ay")], {}, "it lacks 'ay'"),
    "words of too few": (ARRAYS, {"words": {"mode": [["x"] * 3]}}, "2 sequences of 'mode'"),
    "too few words": (ARRAYS, {"words": {"mode": [["x"], ["x", "y"]]}}, "expected 3 of 'mode'"),
    "no words": (ARRAYS, {}, "it lacks 'mode', 'code'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused_in_a_sentence(case):
    data, how, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refused:
        tables.read(data, names=NAMES, **how).sequences(COLUMNS)
    assert isinstance(refused.value, UsageError) and isinstance(refused.value, ValueError)
