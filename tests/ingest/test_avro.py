"""Avro: what its types mean, where it is cut, and how broken or hostile files end."""

import datetime
import decimal
import json
import pathlib
from typing import Any

import numpy as np
import pytest
from ingest import written
from ingest.random_records import COLUMNS, check_columns, file_at, joined, samples

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import samples as takes
from ragline.components.ingest.formats.avro import Avro
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import Chunk, QuarantineLine

TIMED = InputOptions(train="x", order_by="time", time_unit="ns")
PLAIN = InputOptions(train="x")
ONE = Columns(features=(Feature(name="a", unit=None, allow_missing=True),), context={"c": "float"})


def _read(
    path: pathlib.Path, columns: Columns = ONE, options: InputOptions = PLAIN, piece_bytes: int = 1
) -> tuple[Chunk, list[QuarantineLine]]:
    pieces = Avro().pieces(file_at(path, "avro"), columns, options, piece_bytes)
    return joined((p for piece in pieces for p in Avro().read(piece, columns, options)), columns)


def _write(path: pathlib.Path, fields: dict[str, Any], records: list[Any]) -> pathlib.Path:
    schema = {
        "type": "record",
        "name": "R",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }
    path.write_bytes(written.avro_of(schema, records))
    return path


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_pieces_hold_every_record_once(tmp_path: pathlib.Path, codec: str) -> None:
    path, expected = tmp_path / "x.avro", samples(500)
    path.write_bytes(written.avro(expected, codec=codec))
    pieces = Avro().pieces(file_at(path, "avro"), COLUMNS, TIMED, 1)
    assert len(pieces) > 5
    ranges = [(piece.start, piece.stop) for piece in pieces]
    assert [stop for _, stop in ranges] == [
        *(start for start, _ in ranges[1:]),
        path.stat().st_size,
    ]
    for size in (1, 10_000, 1 << 30):
        chunk, rejected = _read(path, COLUMNS, TIMED, size)
        assert rejected == []
        check_columns(chunk, expected)
    [whole] = Avro().pieces(file_at(path, "avro"), COLUMNS, TIMED, 1 << 30)
    assert (whole.first, whole.stop) == (1, path.stat().st_size)


def test_logical_types_are_what_json_would_have(tmp_path: pathlib.Path) -> None:
    fields = {
        "a": _array("double"),
        "t": _array({"type": "long", "logicalType": "timestamp-micros"}),
        "c": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
        "sequence_id": "bytes",
    }
    time = datetime.datetime(2026, 5, 1, 9, 0, 0, 250, tzinfo=datetime.UTC)
    record = {"a": [1.0], "t": [time], "c": decimal.Decimal("12.50"), "sequence_id": "ä".encode()}
    broken = record | {"sequence_id": b"\xff"}
    path = _write(tmp_path / "x.avro", fields, [record, broken])
    chunk, [rejected] = _read(path, options=InputOptions(train="x", order_by="t"))
    assert (chunk.sequence_id, chunk.context["c"]) == (["ä"], [12.5])
    assert chunk.time is not None
    assert chunk.time.tolist() == [1_777_626_000_000_250_000]
    assert (rejected.number, rejected.code) == (2, "encoding")


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        (_array("string"), ["1"], "type"),
        (_array("boolean"), [True], "type"),
        ("double", 1.0, "type"),
        (["null", _array("double")], None, "null"),
        (_array(_array("double")), [[1.0]], "type"),
        ({"type": "map", "values": "double"}, {"a": 1.0}, "missing_column"),
    ],
)
def test_a_bad_record_is_rejected(tmp_path: pathlib.Path, kind: Any, value: Any, code: str) -> None:
    records = [{"a": value, "sequence_id": "x"}]
    path = _write(tmp_path / "x.avro", {"a": kind, "sequence_id": "string"}, records)
    chunk, [rejected] = _read(path)
    assert len(chunk) == 0
    received = (rejected.number, rejected.sequence_id, rejected.code)
    if code == "missing_column":  # A map is an object: its columns are called by their paths.
        assert received[2] in ("missing_column", "type")
    else:
        assert received == (1, "x", code)
    assert json.loads(rejected.text) == {"a": value, "sequence_id": "x"}


def test_a_file_without_records_is_none(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "x.avro", {"a": _array("double")}, [])
    assert len(_read(path)[0]) == 0
    grouped = InputOptions(train="x", group_by=("{FILE}",))
    [piece] = Avro().pieces(file_at(path, "avro"), ONE, grouped, 1)
    [rows] = Avro().rows(piece, ONE, grouped)
    assert [(line.code, line.sequence_id) for line in rows.rejected] == [("empty", "x.avro")]
    with pytest.raises(BadDataError, match=r"no_data: .*x\.avro"):
        takes.take([str(path)])


def test_any_cut_of_a_file_is_refused_or_a_block_is_whole(tmp_path: pathlib.Path) -> None:
    expected = samples(200)
    content = written.avro(expected)
    (tmp_path / "whole.avro").write_bytes(content)
    pieces = Avro().pieces(file_at(tmp_path / "whole.avro", "avro"), COLUMNS, TIMED, 1)
    ends = {piece.stop for piece in pieces} | {pieces[0].start}
    path = tmp_path / "x.avro"
    rng = np.random.default_rng(0)
    for stop in sorted({*rng.integers(0, len(content), 150).tolist(), *ends}):
        path.write_bytes(content[:stop])
        if stop in ends:  # As with TFRecord, only a manifest would show it.
            _read(path, COLUMNS, TIMED)
        else:
            with pytest.raises(BadDataError, match=r"unreadable: .*whole Avro file"):
                _read(path, COLUMNS, TIMED)


def test_no_flipped_byte_does_more_than_stop_the_file(tmp_path: pathlib.Path) -> None:
    content = bytearray(written.avro(samples(20)))
    path = tmp_path / "x.avro"
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(content), 300).tolist():
        changed = content.copy()
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            _read(path, COLUMNS, TIMED)
        except BadDataError as error:
            assert error.code in ("unreadable", "bad_header")


RECURSIVE = {
    "type": "record",
    "name": "R",
    "fields": [{"name": "next", "type": ["null", "R"]}, {"name": "a", "type": _array("double")}],
}
EMPTY = {"type": "record", "name": "E", "fields": []}


@pytest.mark.parametrize(
    "schema",
    [
        RECURSIVE,
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": _array("null")}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "null"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": _array(EMPTY)}]},
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": "e", "type": EMPTY}, {"name": "a", "type": _array("E")}],
        },
        "null",
    ],
)
def test_a_schema_without_an_end_is_refused(tmp_path: pathlib.Path, schema: Any) -> None:
    path = tmp_path / "x.avro"
    path.write_bytes(written.avro_of(schema, []))
    with pytest.raises(BadDataError, match=r"bad_header: .*x\.avro: schema"):
        _read(path)


def test_a_block_that_states_a_tebibyte_is_refused(tmp_path: pathlib.Path) -> None:
    content = written.avro_of(
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": _array("double")}]}, []
    )
    path = tmp_path / "x.avro"
    # A count of 1, and a size of 2^40, as zigzag variable-length integers.
    path.write_bytes(content + b"\x02" + b"\x80\x80\x80\x80\x80\x40" + b"abc")
    with pytest.raises(BadDataError, match=r"unreadable: .*whole Avro file"):
        _read(path)


def test_a_sample_is_of_blocks_from_all_over(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragline.components.ingest.formats import interface

    path = tmp_path / "x.avro"
    records = [{"a": [float(place)]} for place in range(20_000)]
    _write(path, {"a": _array("double")}, records)
    assert takes.take([str(path)]).complete
    monkeypatch.setattr(interface, "SAMPLE_BYTES", 60_000)
    sample = takes.take([str(path)])
    values = sample.steps["a"].to_numpy()
    assert not sample.complete and 500 < len(values) < 10_000
    assert values[0] == 0 and values[-1] == 19_999 and np.diff(values).max() < 5_000
