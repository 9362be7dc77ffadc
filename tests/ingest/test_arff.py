"""ARFF: both ways in which it holds sequences, its quotes, and what is wrong with a row."""

import pathlib
import time

import numpy as np
import pytest
from ingest import written
from ingest.random_records import NUMBERS_ONLY, check_numbers, file_at, joined, samples

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import samples as takes
from ragline.components.ingest.formats.arff import Arff
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import Chunk, QuarantineLine

PLAIN = InputOptions(train="x")


def _columns(*names: str) -> Columns:
    features = tuple(Feature(name=name, unit=None, allow_missing=True) for name in names)
    return Columns(features=features, context={"label": "bytes"})


TWO = _columns("a", "b")
RELATION = """\
@relation x
@attribute sequence_id string
@attribute steps relational
@attribute a numeric
@attribute b real
@end steps
@attribute 'label' {'x y', z}
@data
"""
SERIES = """\
% of the archive, \xb5 is no UTF-8 here
@RELATION 'x'
@ATTRIBUTE relationalAtt RELATIONAL
\t@attribute att0 numeric
\t@attribute att1 numeric
\t@attribute att2 numeric
@END relationalAtt
@attribute label {1,2}
@DATA
"""


def _read(
    path: pathlib.Path, text: str | bytes, columns: Columns = TWO, piece_bytes: int = 1
) -> tuple[Chunk, list[QuarantineLine]]:
    path.write_bytes(text.encode("latin-1") if isinstance(text, str) else text)
    pieces = Arff().pieces(file_at(path, "arff"), columns, PLAIN, piece_bytes)
    return joined((p for piece in pieces for p in Arff().read(piece, columns, PLAIN)), columns)


def test_a_relation_holds_a_row_a_step(tmp_path: pathlib.Path) -> None:
    rows = "s1,'1,2\\n3,?\\n5,NaN','x y'\n\n% a comment\n\"s,2\", \"7 , 8e1\" ,z\n"
    chunk, rejected = _read(tmp_path / "x.arff", RELATION + rows)
    assert rejected == []
    assert (chunk.sequence_id, chunk.length.tolist()) == (["s1", "s,2"], [3, 1])
    np.testing.assert_array_equal(chunk.values["a"], [1, 3, 5, 7])
    np.testing.assert_array_equal(chunk.values["b"], [2, np.nan, np.nan, 80])
    assert (chunk.context["label"], chunk.number.tolist()) == (["x y", "z"], [9, 12])


def test_numbered_attributes_are_steps_and_their_padding_is_cut_off(tmp_path: pathlib.Path) -> None:
    rows = "'1,2,3\\n4,?,6',1\n'1,2,?\\n4,?,?',2\n\"1,2\\n3,4\",?\n"
    chunk, rejected = _read(tmp_path / "x.arff", SERIES + rows)
    assert rejected == []
    assert chunk.length.tolist() == [3, 2, 2]
    np.testing.assert_array_equal(chunk.values["a"], [1, 2, 3, 1, 2, 1, 2])
    np.testing.assert_array_equal(chunk.values["b"], [4, np.nan, 6, 4, np.nan, 3, 4])
    assert chunk.context["label"] == ["1", "2", None]


def test_a_series_of_one_feature_has_no_relation(tmp_path: pathlib.Path) -> None:
    header = SERIES.replace("@ATTRIBUTE relationalAtt RELATIONAL\n", "").replace(
        "@END relationalAtt\n", ""
    )
    chunk, rejected = _read(tmp_path / "x.arff", header + "1,2,?,1\n?,2,3,2\n", _columns("a"))
    assert (rejected, chunk.length.tolist()) == ([], [2, 3])
    np.testing.assert_array_equal(chunk.values["a"], [1, 2, np.nan, 2, 3])
    assert chunk.context["label"] == ["1", "2"]


def test_a_schema_that_names_numbered_attributes_has_them_as_columns(
    tmp_path: pathlib.Path,
) -> None:
    columns = _columns("att0", "att1", "att2")
    chunk, rejected = _read(tmp_path / "x.arff", SERIES + "'1,2,3\\n4,5,6',1\n", columns)
    assert (rejected, chunk.length.tolist()) == ([], [2])
    np.testing.assert_array_equal(chunk.values["att1"], [2, 5])


@pytest.mark.parametrize("piece_bytes", [1, 700, 1 << 30])
def test_pieces_hold_every_row_once(tmp_path: pathlib.Path, piece_bytes: int) -> None:
    expected = samples(100)
    text = written.series(expected)
    chunk, rejected = _read(tmp_path / "x.arff", text, NUMBERS_ONLY, piece_bytes)
    assert rejected == []
    check_numbers(chunk, expected)


@pytest.mark.parametrize(
    ("header", "row", "code"),
    [
        (RELATION, b"s,'1,2',z,more", "ragged"),
        (RELATION, b"s,'1,2'", "ragged"),
        (RELATION, b"s,'1,2,z", "ragged"),
        (RELATION, b"s,'1,2'x,z", "ragged"),
        (RELATION, b"s,'1,2,3',z", "ragged"),
        (RELATION, b"{0 s, 2 z}", "ragged"),
        (RELATION, b"s,'1,x',z", "number_format"),
        (RELATION, b"s,'1,1_000',z", "number_format"),
        (RELATION, b"s,'1,1e400',z", "number_format"),
        (RELATION, b"s,'1,0x10',z", "number_format"),
        (RELATION, b"s,'1,\\'2,3\\'',z", "number_format"),
        (RELATION, b"s,'1,\xff',z", "encoding"),
        (SERIES, b"'1,2,3',1", "bad_dim"),
        (SERIES, b"'1,2,3\\n4,5',1", "ragged"),
        (SERIES, b"'1,2,3\\n4,,5',1", "number_format"),
        (SERIES, b"'',1", "bad_dim"),
    ],
)
def test_a_bad_row_is_rejected_and_no_other(
    tmp_path: pathlib.Path, header: str, row: bytes, code: str
) -> None:
    good = b"s0,'1,2',z\n" if header is RELATION else b"'1,2\\n3,4',1\n"
    text = header.encode("latin-1") + good + row + b"\n" + good
    chunk, [rejected] = _read(tmp_path / "x.arff", text)
    assert (len(chunk), rejected.code) == (2, code)
    assert rejected.number == header.count("\n") + 2
    assert rejected.text == row.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "expected attributes, then a line @data"),
        ("@relation x\n@data\n1\n", "expected attributes, then a line @data"),
        ("@relation x\n@attribute a numeric\n", "expected attributes, then a line @data"),
        ("@relation x\n@attribute r relational\n@attribute a real\n@data\n", "expected attributes"),
        ("@relation x\n@attribute\n@data\n", "line 2: expected @attribute, received '@attribute'"),
        ("@relation x\n1,2\n", "line 2: expected @attribute, received '1,2'"),
        ("@relation x\n@attribute 'a numeric\n@data\n1\n", "line 3|no_data|expected"),
    ],
)
def test_a_bad_header_stops_the_file(tmp_path: pathlib.Path, text: str, what: str) -> None:
    path = tmp_path / "x.arff"
    if "'a numeric" in text:  # A quote that does not end is part of the name.
        _read(path, text)
        return
    with pytest.raises(BadDataError, match=f"bad_header: {path}: {what}"):
        _read(path, text)


def test_a_file_without_rows_is_none(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arff"
    for rows in ("", "\n% nothing\n\n"):
        assert len(_read(path, RELATION + rows)[0]) == 0
        grouped = InputOptions(train="x", group_by=("{FILE}",))
        [piece] = Arff().pieces(file_at(path, "arff"), TWO, grouped, 1 << 30)
        [line] = [line for rows in Arff().rows(piece, TWO, grouped) for line in rows.rejected]
        assert (line.code, line.sequence_id) == ("empty", "x.arff")
        with pytest.raises(BadDataError, match=r"no_data: .*expected at least one record"):
            takes.take([str(path)])


@pytest.mark.parametrize("text", ["a" + " " * 200_000 + "'", "'" + "\\a" * 100_000, " ," * 100_000])
def test_odd_rows_take_linear_time(tmp_path: pathlib.Path, text: str) -> None:
    started = time.process_time()
    _, [rejected] = _read(tmp_path / "x.arff", f"{RELATION}{text}\n")
    assert rejected.code == "ragged"
    assert time.process_time() - started < 2


def test_a_sample_finds_the_steps_of_each_kind(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arff"
    path.write_text(RELATION + "s,'1,2\\n3,4',z\n", encoding="utf-8")
    sample = takes.take([str(path)])
    assert ([*sample.steps], [*sample.records]) == (["a", "b"], ["sequence_id", "label"])
    path.write_bytes((SERIES + "'1,2,3\\n4,5,?',1\n'1,?,?\\n4,?,?',2\n").encode("latin-1"))
    sample = takes.take([str(path)])
    assert ([*sample.steps], [*sample.records]) == (["feature_0", "feature_1"], ["label"])
    assert sample.lengths is not None and sample.lengths.tolist() == [3, 1]
    path.write_text("@relation x\n@attribute id string\n@attribute a real\n@data\nu,1\nu,2\nv,3\n")
    sample = takes.take([str(path)])
    assert (sample.lengths, sample.files, [*sample.steps]) == (None, (3,), ["id", "a"])
