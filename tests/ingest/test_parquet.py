"""Parquet: sequences in lists, sequences in lists of structs, and long tables."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.columns import TIME_DELTA, Category, Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.beam import grouping
from ragline.components.ingest.formats import csv, parquet
from ragline.components.ingest.options import InputOptions, StepOptions
from ragline.components.ingest.records.chunk import File

COLUMNS = Columns(
    features=(
        Feature(name="ax", unit=None, allow_missing=False),
        Feature(name="ay", unit=None, allow_missing=True),
    ),
    context={"label": "bytes"},
)
ONE = Columns(features=COLUMNS.features[:1], context={})
NESTED = InputOptions(train="x")
LONG = InputOptions(train="x", group_by=("id",))
DOUBLES = pa.list_(pa.float64())


def written(path, table, **options):
    pq.write_table(table, path, **options)
    return File(path=str(path), name=path.name, index=2, format="parquet", split=None)


def read(tmp_path, table, columns=COLUMNS, options=NESTED, piece_bytes=1 << 25, **how):
    file = written(tmp_path / "a.parquet", table, **how)
    reader = parquet.Parquet().rows if options.group_by else parquet.Parquet().read
    pieces = parquet.Parquet().pieces(file, columns, options, piece_bytes)
    return [part for piece in pieces for part in reader(piece, columns, options)]


def of_ax(cells, kind=DOUBLES):
    return pa.table({"sequence_id": ["a"], "ax": pa.array([cells], kind)})


def test_lists_side_by_side(tmp_path):
    table = pa.table(
        {
            "sequence_id": ["a", "b", None],
            "entity_id": pa.array([None, 7, 8]),
            "length": [2, 0, None],
            "ax": [[1.0, 2.0], [], [3.0]],
            "ay": [[None, 5.0], [], [6.0]],
            "label": ["x", None, "z"],
            "more": [1, 2, 3],
        }
    )
    [part] = read(tmp_path, table)
    chunk = part.chunk
    assert part.rejected == ()
    assert chunk.number.tolist() == [1, 2, 3]
    assert chunk.sequence_id == ["a", "b", None]
    assert chunk.entity_id == [None, "7", "8"]
    assert chunk.length.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(chunk.values["ax"], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(chunk.values["ay"], [np.nan, 5.0, 6.0])
    assert chunk.values["ax"].dtype == np.float64
    assert chunk.context == {"label": ["x", None, "z"]}
    assert chunk.time is None


def test_lists_of_structs(tmp_path):
    step = pa.struct([("ay", pa.float32()), ("ax", pa.int16()), ("other", pa.string())])
    steps = [
        [{"ax": 1, "ay": 0.5}, {"ax": 2, "ay": None}],
        [{"ax": 3, "ay": 1.0}, None],
        None,
        [{"ax": None, "ay": 1.0}],
        [],
    ]
    [part] = read(tmp_path, pa.table({"run": pa.array(steps, pa.list_(step))}))
    assert part.chunk.number.tolist() == [1, 5]
    np.testing.assert_array_equal(part.chunk.values["ax"], [1.0, 2.0])
    np.testing.assert_array_equal(part.chunk.values["ay"], [0.5, np.nan])
    told = {bad.number: (bad.code, bad.detail) for bad in part.rejected}
    assert told == {
        2: ("null", "column 'run', step 1: expected a step, received null"),
        3: ("null", "column 'run': expected a list, received null"),
        4: ("null", "feature 'ax', step 0: expected a number, received null"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float16()),
        pa.list_(pa.float32()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float64(), 3),
        pa.list_(pa.int8()),
        pa.list_(pa.uint64()),
        pa.large_list(pa.int64()),
        pa.list_(pa.decimal128(10, 2)),
        pa.list_(pa.dictionary(pa.int8(), pa.float64())),
    ],
)
def test_lists_of_every_kind_of_number(tmp_path, kind):
    numbers = [np.float16(n) if kind.value_type == pa.float16() else n for n in (1, 2, 3)]
    [part] = read(tmp_path, of_ax(numbers, kind), columns=ONE)
    np.testing.assert_array_equal(part.chunk.values["ax"], [1.0, 2.0, 3.0])


BAD = {
    "null list": (None, [1.0], None, "null", "column 'ax': expected a list"),
    "null row": (None, None, None, "null", "a row of nulls"),
    "null cell": ([1.0, None], [1.0, 2.0], None, "null", "feature 'ax', step 1: expected a number"),
    "ragged": ([1.0], [1.0, 2.0], None, "ragged", "{'ax': 1, 'ay': 2}"),
    "stated length": ([1.0], [1.0], 2, "length_mismatch", "expected 1, received 2"),
    "negative length": ([1.0], [1.0], -1, "length_mismatch", "expected 1, received -1"),
}


@pytest.mark.parametrize("poison", BAD)
def test_a_bad_row_costs_itself(tmp_path, poison):
    ax, ay, length, code, said = BAD[poison]
    clean = {"sequence_id": ["p", "q"], "ax": [[1.0], [2.0, 3.0]], "ay": [[4.0], [5.0, 6.0]]}
    table = pa.table(
        {
            "sequence_id": ["p", "bad", "q"],
            "length": pa.array([None, length, 2], pa.int32()),
            "ax": pa.array([clean["ax"][0], ax, clean["ax"][1]], DOUBLES),
            "ay": pa.array([clean["ay"][0], ay, clean["ay"][1]], DOUBLES),
        }
    )
    [part] = read(tmp_path, table)
    [rejected] = part.rejected
    assert (rejected.number, rejected.code, rejected.sequence_id) == (2, code, "bad")
    assert said in rejected.detail
    assert json.loads(rejected.text)["ax"] == (ax if code != "length_mismatch" else [1.0])
    assert part.chunk.number.tolist() == [1, 3]
    [expected] = read(tmp_path, pa.table(clean))
    assert part.chunk.sequence_id == expected.chunk.sequence_id
    for name in ("ax", "ay"):
        np.testing.assert_array_equal(part.chunk.values[name], expected.chunk.values[name])


def test_text_that_is_no_utf8(tmp_path):
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff")]
    )
    table = pa.table(
        {"sequence_id": ["p", "q"], "label": bad, "ax": [[1.0]] * 2, "ay": [[1.0]] * 2}
    )
    [part] = read(tmp_path, table)
    assert [(r.number, r.code) for r in part.rejected] == [(2, "encoding")]
    table = pa.table({"sequence_id": bad, "ax": [[1.0]] * 2, "ay": [[1.0], None]})
    [part] = read(tmp_path, table)
    assert [(r.number, r.code, r.sequence_id) for r in part.rejected] == [(2, "null", None)]
    assert part.chunk.sequence_id == ["a"]


def test_categories_and_context(tmp_path):
    columns = Columns(
        features=ONE.features,
        context={"age": "int", "weight": "float", "label": "bytes"},
        categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
    )
    words = pa.array(
        [["go", None], ["", "x"], ["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))
    )
    table = pa.table(
        {
            "ax": [[1.0, 2.0], [3.0, 4.0], [5.0]],
            "word": words,
            "code": pa.array([[1, 2], [3, None], [2**63]], pa.list_(pa.uint64())),
            "age": pa.array([1, None, 3], pa.int8()),
            "weight": [0.1, None, 1.0],
            "label": pa.array(["x", "y", "z"]).dictionary_encode(),
        }
    )
    [part] = read(tmp_path, table, columns=columns)
    assert part.chunk.values["word"].tolist() == ["go", ""]
    assert part.chunk.values["code"].tolist() == [1, 2]
    assert part.chunk.values["code"].dtype == np.int64
    assert part.chunk.context == {"age": [1], "weight": [float(np.float32(0.1))], "label": ["x"]}
    assert [(r.number, r.code) for r in part.rejected] == [(2, "null"), (3, "int_overflow")]
    whole = pa.table({"ax": [[1.0]], "word": [[5]], "code": [[1]], "weight": [np.inf]})
    [part] = read(tmp_path, whole, columns=columns)
    assert [r.code for r in part.rejected] == ["non_finite"]


@pytest.mark.parametrize(
    ("cells", "unit", "expected"),
    [
        (pa.array([0, 1_700_000_000_123_456_789]), "ns", [0, 1_700_000_000_123_456_789]),
        (pa.array([1, 2], pa.timestamp("ms", "Europe/Vienna")), "s", [10**6, 2 * 10**6]),
        (pa.array([1, -1], pa.timestamp("ns")), "s", [1, -1]),
        (pa.array([1, 2], pa.date32()), "s", [86400 * 10**9, 2 * 86400 * 10**9]),
        (pa.array([0.5, 1.25]), "ms", [500_000, 1_250_000]),
        (pa.array(["1970-01-01T00:00:01", "2"]), "s", [10**9, 2 * 10**9]),
        (pa.array([1, None]), "s", "null"),
        (pa.array([1.0, np.nan]), "s", "null"),
        (pa.array([1, 2**62]), "s", "int_overflow"),
        (pa.array([1, 2**62], pa.timestamp("us")), "ns", "int_overflow"),
        (pa.array([1, 2**63], pa.uint64()), "ns", "int_overflow"),
        (pa.array(["1", "soon"]), "s", "number_format"),
    ],
)
def test_times(tmp_path, cells, unit, expected):
    options = InputOptions(train="x", order_by="t", time_unit=unit)
    times = pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), cells)
    [part] = read(tmp_path, pa.table({"ax": [[1.0, 2.0]], "t": times}), ONE, options)
    if isinstance(expected, str):
        assert [bad.code for bad in part.rejected] == [expected]
        assert "step 1" in part.rejected[0].detail
    else:
        assert part.chunk.time.tolist() == expected
        assert part.chunk.time.dtype == np.int64


def test_the_feature_that_a_policy_fills_in_is_in_no_file(tmp_path):
    delta = Feature(name=TIME_DELTA, unit=None, allow_missing=False)
    columns = Columns(features=(*ONE.features, delta), context={})
    options = InputOptions(train="x", order_by="t", steps=StepOptions(time_delta=True))
    [part] = read(tmp_path, pa.table({"ax": [[1.0, 2.0]], "t": [[1, 2]]}), columns, options)
    assert part.chunk.values[TIME_DELTA].tolist() == [0.0, 0.0]


def test_the_stated_entity_must_be_there(tmp_path):
    options = InputOptions(train="x", entity="who")
    [part] = read(tmp_path, pa.table({"ax": [[1.0], [2.0]], "who": ["m", None]}), ONE, options)
    assert part.chunk.entity_id == ["m"]
    assert [(bad.number, bad.code) for bad in part.rejected] == [(2, "null")]


def test_long_tables(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 1, None, 2, 2]),
            "t": pa.array([5, 6, 7, 8, None], pa.timestamp("s")),
            "ax": pa.array([1.0, None, 3.0, 4.0, 5.0], pa.float32()),
            "ay": pa.array([None, 2, 3, 4, 5], pa.int32()),
            "label": ["x", "x", "y", "y", "y"],
        }
    )
    options = InputOptions(train="x", group_by=("id",), order_by="t")
    [rows] = read(tmp_path, table, options=options)
    assert rows.file == 2
    assert rows.number.tolist() == [1, 4]
    assert rows.sequence_id.tolist() == ["1", "2"]
    assert rows.entity_id is None
    assert rows.time.tolist() == [5 * 10**9, 8 * 10**9]
    np.testing.assert_array_equal(rows.values["ay"], [np.nan, 4.0])
    assert rows.context["label"].tolist() == ["x", "y"]
    told = [(bad.number, bad.code, bad.sequence_id) for bad in rows.rejected]
    assert told == [(2, "null", "1"), (3, "null", None), (5, "null", "2")]
    assert json.loads(rows.rejected[0].text)["ax"] is None


@pytest.mark.parametrize(
    ("table", "options", "code", "said"),
    [
        ({"ax": [[1.0]]}, NESTED, "missing_column", "'ay'"),
        ({"ax": [1.0], "ay": [1.0]}, NESTED, "type", r"input\.group_by"),
        ({"ax": [["1"]], "ay": [[1.0]]}, NESTED, "type", "lists of numbers, received list<"),
        ({"ax": [[True]], "ay": [[1.0]]}, NESTED, "type", "lists of numbers"),
        ({"ax": [[1.0]], "ay": [[1.0]], "label": [1]}, NESTED, "type", "'label': expected text"),
        ({"ax": [[1.0]], "ay": [[1.0]], "length": ["1"]}, NESTED, "type", "expected integers"),
        ({"ax": [[1.0]], "ay": [[1.0]], "id": [1]}, LONG, "type", r"need no input\.group_by"),
        ({"ax": ["1"], "ay": [1.0], "id": [1]}, LONG, "type", "numbers, received string"),
        ({"ax": [1.0], "ay": [1.0], "id": [True]}, LONG, "type", "text, integers or dates"),
        ({"ax": [1.0], "ay": [1.0]}, LONG, "missing_column", "'id'"),
    ],
)
def test_a_file_of_wrong_columns_stops_the_run(tmp_path, table, options, code, said):
    with pytest.raises(BadDataError, match=said) as caught:
        read(tmp_path, pa.table(table), options=options)
    assert caught.value.code == code
    assert "a.parquet" in str(caught.value)


def test_a_column_that_stands_there_twice(tmp_path):
    table = pa.Table.from_arrays([pa.array([[1.0]])] * 2, names=["ax", "ax"])
    with pytest.raises(BadDataError, match="'ax' stands there twice"):
        read(tmp_path, table, columns=ONE)


def test_files_that_are_no_parquet_or_broken(tmp_path):
    file = written(tmp_path / "a.parquet", of_ax([1.0, 2.0]), write_page_checksum=True)
    whole = (tmp_path / "a.parquet").read_bytes()
    for broken in (b"", b"PAR1", whole[:-5], whole[:20] + b"\xff\xff" + whole[22:]):
        (tmp_path / "a.parquet").write_bytes(broken)
        with pytest.raises(BadDataError, match=r"unreadable.*a\.parquet"):
            for piece in parquet.Parquet().pieces(file, ONE, NESTED, 1):
                list(parquet.Parquet().read(piece, ONE, NESTED))


@pytest.mark.parametrize("seed", range(4))
def test_a_file_with_changed_bytes_is_refused_or_wholly_accounted_for(tmp_path, seed):
    table = pa.table({"sequence_id": list("abcdefgh"), "ax": [[1.0] * i for i in range(8)]})
    file = written(tmp_path / "a.parquet", table, row_group_size=3)
    whole = (tmp_path / "a.parquet").read_bytes()
    random = np.random.default_rng(seed)
    read_through = 0
    for _ in range(100):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 4)):
            broken[place] = random.integers(0, 256)
        (tmp_path / "a.parquet").write_bytes(broken)
        try:
            pieces = parquet.Parquet().pieces(file, ONE, NESTED, 1)
            parts = [
                part for piece in pieces for part in parquet.Parquet().read(piece, ONE, NESTED)
            ]
        except BadDataError:
            continue
        assert sum(len(part.chunk) + len(part.rejected) for part in parts) == 8
        read_through += 1
    assert read_through < 100


def test_pieces_are_runs_of_row_groups(tmp_path):
    table = pa.table({"ax": [[float(i)] * (i % 5) for i in range(100)]})
    file = written(tmp_path / "a.parquet", table, row_group_size=10)
    [one] = parquet.Parquet().pieces(file, ONE, NESTED, 1 << 30)
    pieces = parquet.Parquet().pieces(file, ONE, NESTED, 1)
    assert (one.start, one.stop, one.first) == (0, 100, 1)
    assert [(p.start, p.stop, p.first) for p in pieces] == [
        (i, i + 10, i + 1) for i in range(0, 100, 10)
    ]
    assert one.size == sum(piece.size for piece in pieces)
    for cut in ([one], pieces):
        chunks = [part.chunk for p in cut for part in parquet.Parquet().read(p, ONE, NESTED)]
        assert [n for c in chunks for n in c.number.tolist()] == list(range(1, 101))
        flat = np.concatenate([chunk.values["ax"] for chunk in chunks])
        assert flat.tolist() == [float(i) for i in range(100) for _ in range(i % 5)]
    assert (
        parquet.Parquet().pieces(written(tmp_path / "b.parquet", table.slice(0, 0)), ONE, NESTED, 1)
        == []
    )


def test_chunks_hold_about_as_many_steps_whatever_the_lengths(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "STEPS", 64)
    lengths = [3] * 40 + [500] + [3] * 40 + [0] * 30
    table = pa.table({"ax": [[float(i)] * length for i, length in enumerate(lengths)]})
    chunks = [part.chunk for part in read(tmp_path, table, columns=ONE)]
    assert [n for c in chunks for n in c.length.tolist()] == lengths
    assert max(int(c.length.sum()) for c in chunks if 500 not in c.length) <= 64 + 3
    assert max(int(c.length.sum()) for c in chunks) <= 500 + 64


# One set of sequences in three shapes.

VALUE = st.one_of(st.none(), st.floats(width=32))
SEQUENCES = st.lists(
    st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=5), min_size=1, max_size=8
)


@settings(max_examples=sampled(60), deadline=None)
@given(sequences=SEQUENCES)
def test_nested_long_and_csv_agree(tmp_path_factory, sequences):
    folder = tmp_path_factory.mktemp("shapes")
    # Infinity has no spelling in CSV; a null of `ax` rejects a row here, a sequence there.
    sequences = [
        [(0.5 if x is None or np.isinf(x) else x, None if y and np.isinf(y) else y) for x, y in s]
        for s in sequences
    ]
    ids = [f"s{i}" for i in range(len(sequences))]
    nested = pa.table(
        {
            "sequence_id": ids,
            "ax": pa.array([[x for x, _ in s] for s in sequences], DOUBLES),
            "ay": pa.array([[y for _, y in s] for s in sequences], DOUBLES),
        }
    )
    long = pa.table(
        {
            "id": [name for name, s in zip(ids, sequences, strict=True) for _ in s],
            "ax": pa.array([x for s in sequences for x, _ in s], pa.float64()),
            "ay": pa.array([y for s in sequences for _, y in s], pa.float64()),
        }
    )
    [part] = read(folder, nested)
    [rows] = read(folder, long, options=LONG)
    with (folder / "a.csv").open("w") as text:
        text.write("id,ax,ay\n")
        for name, ax, ay in zip(*(column.to_pylist() for column in long.columns), strict=True):
            cells = ["NaN" if v is None or np.isnan(v) else repr(v) for v in (ax, ay)]
            text.write(",".join([name, *cells]) + "\n")
    file = File(path=str(folder / "a.csv"), name="a.csv", index=2, format="csv", split=None)
    [piece] = csv.Csv().pieces(file, COLUMNS, LONG, 1 << 25)
    [of_csv] = csv.Csv().rows(piece, COLUMNS, LONG)
    assert not (part.rejected or rows.rejected or of_csv.rejected)
    for table in (rows, of_csv):
        [grouped] = grouping.to_chunks([table], COLUMNS)
        chunk = grouped.part.chunk
        assert list(chunk.sequence_id) == part.chunk.sequence_id
        assert chunk.length.tolist() == part.chunk.length.tolist()
        for name in ("ax", "ay"):
            np.testing.assert_array_equal(chunk.values[name], part.chunk.values[name])
    assert (of_csv.number == rows.number + 1).all()


CELL = st.one_of(st.none(), st.floats(-1e3, 1e3))
LIST = st.one_of(st.none(), st.lists(CELL, max_size=3))


@settings(max_examples=sampled(150), deadline=None)
@given(
    records=st.lists(
        st.tuples(LIST, LIST, st.one_of(st.none(), st.integers(0, 3))), min_size=1, max_size=8
    )
)
def test_every_record_is_kept_or_rejected_by_the_rules(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("records")
    table = pa.table(
        {
            "ax": pa.array([ax for ax, _, _ in records], DOUBLES),
            "ay": pa.array([ay for _, ay, _ in records], DOUBLES),
            "length": pa.array([length for _, _, length in records], pa.int64()),
        }
    )
    parts = read(folder, table)
    kept = {}
    for part in parts:
        for number, start, length in zip(
            part.chunk.number, part.chunk.starts, part.chunk.length, strict=True
        ):
            kept[int(number)] = {
                name: part.chunk.values[name][start : start + length] for name in ("ax", "ay")
            }
    rejected = {bad.number: bad.code for part in parts for bad in part.rejected}
    assert sorted([*kept, *rejected]) == list(range(1, len(records) + 1))
    for number, (ax, ay, length) in enumerate(records, start=1):
        if ax is None or ay is None:
            assert rejected[number] == "null"
        elif len(ax) != len(ay):
            assert rejected[number] == "ragged"
        elif length is not None and length != len(ax):
            assert rejected[number] == "length_mismatch"
        elif None in ax:
            assert rejected[number] == "null"
        else:
            np.testing.assert_array_equal(kept[number]["ax"], np.array(ax, np.float64))
            np.testing.assert_array_equal(kept[number]["ay"], np.array(ay, np.float64))
