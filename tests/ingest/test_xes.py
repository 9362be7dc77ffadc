"""Tests of XES event logs."""

import gzip
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest.random_records import COLUMNS, check_columns, file_at, joined, samples
from ingest.written import attribute, log, trace_of
from profiles import sampled

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import xes
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import Chunk, QuarantineLine

PLAIN = InputOptions(train="x")
TIMED = InputOptions(train="x", order_by="time:timestamp")


def _read(
    path: pathlib.Path, columns: Columns = COLUMNS, options: InputOptions = TIMED
) -> tuple[Chunk, list[QuarantineLine]]:
    [piece] = xes.Xes().pieces(file_at(path, "xes"), columns, options, 1)
    return joined(xes.Xes().read(piece, columns, options), columns)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "f.xes"


@pytest.mark.parametrize(("steps", "block"), [(7, 100), (7, 1 << 18), (1 << 17, 1000)])
def test_traces_come_back(
    path: pathlib.Path, steps: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xes, "STEPS", steps)
    monkeypatch.setattr(xes, "_BLOCK", block)
    path.write_bytes(log(*map(trace_of, samples(100))))
    chunk, rejected = _read(path)
    check_columns(chunk, samples(100))
    assert not rejected


def test_a_compressed_log_comes_back(path: pathlib.Path) -> None:
    path = path.with_suffix(".xes.gz")
    path.write_bytes(gzip.compress(log(*map(trace_of, samples(10)))))
    check_columns(_read(path)[0], samples(10))


LOG = Columns(
    features=(
        Feature(name="cost", unit=None, allow_missing=False),
        Feature(name="load", unit=None, allow_missing=True),
    ),
    context={"label": "bytes", "age": "int", "weight": "float"},
    categories=(
        Category(name="concept:name", kind="bytes"),
        Category(name="code", kind="int"),
    ),
)
EVENT = {
    "cost": ("int", "1"),
    "load": ("float", "2.5"),
    "concept:name": ("string", "go"),
    "code": ("int", "3"),
    "time:timestamp": ("date", "2024-05-01T12:00:00+02:00"),
}


def _trace(*events: dict[str, tuple[str, str]], **trace: tuple[str, str]) -> str:
    def cells(attributes: dict[str, tuple[str, str]]) -> str:
        return "".join(attribute(tag, key, value) for key, (tag, value) in attributes.items())

    inside = "".join(f"<event>{cells(event)}</event>" for event in events)
    return f"<trace>{cells(trace)}{inside}</trace>"


def test_keys_with_colons_are_columns(path: pathlib.Path) -> None:
    path.write_bytes(log(_trace(EVENT, EVENT | {"concept:name": ("string", "stop")})))
    chunk, rejected = _read(path, LOG)
    assert chunk.values["concept:name"].tolist() == ["go", "stop"]
    assert chunk.time is not None and chunk.time.tolist() == [1714557600 * 10**9] * 2
    assert chunk.sequence_id == chunk.entity_id == [None] and not rejected


def test_attributes_of_attributes_are_not_read(path: pathlib.Path) -> None:
    inner = attribute("int", "cost", 9)
    trace = _trace(EVENT).replace(
        "</event>", f'<list key="x"><values>{inner}</values></list></event>'
    )
    path.write_bytes(log(trace))
    assert _read(path, LOG)[0].values["cost"].tolist() == [1.0]


def test_tags_may_have_a_prefix(path: pathlib.Path) -> None:
    text = log(_trace(EVENT)).replace(b"<", b"<x:").replace(b"<x:/", b"</x:")
    text = text.replace(b"<x:?", b"<?").replace(b"xmlns=", b"xmlns:x=")
    path.write_bytes(text)
    assert _read(path, LOG)[0].values["cost"].tolist() == [1.0]


def test_a_trace_without_events_is_left_to_the_checks(path: pathlib.Path) -> None:
    path.write_bytes(log("<trace/>", _trace(EVENT)))
    assert list(_read(path, LOG)[0].length) == [0, 1]


@pytest.mark.parametrize("text", [log(), b"<log/>", b""])
def test_a_log_without_traces_has_no_records(path: pathlib.Path, text: bytes) -> None:
    path.write_bytes(text)
    assert len(_read(path, LOG)[0]) == 0


def test_the_entity_is_an_attribute_of_the_trace(path: pathlib.Path) -> None:
    path.write_bytes(log(_trace(EVENT, person=("int", "7")), _trace(EVENT)))
    chunk, rejected = _read(path, LOG, InputOptions(train="x", entity="person"))
    assert chunk.entity_id == ["7"] and [(r.number, r.code) for r in rejected] == [(2, "null")]


@pytest.mark.parametrize(
    ("event", "trace", "code"),
    [
        ({"cost": ("boolean", "true")}, {}, "type"),
        ({"cost": ("string", "1")}, {}, "type"),
        ({"code": ("float", "1")}, {}, "type"),
        ({"concept:name": ("int", "1")}, {}, "type"),
        ({"cost": ("float", "1,5")}, {}, "number_format"),
        ({"cost": ("float", "1e400")}, {}, "number_format"),
        ({"cost": ("float", "INF")}, {}, "number_format"),
        ({"code": ("int", "0x10")}, {}, "number_format"),
        ({"code": ("int", str(2**63))}, {}, "int_overflow"),
        ({"time:timestamp": ("date", "yesterday")}, {}, "number_format"),
        ({}, {"age": ("float", "1")}, "type"),
        ({}, {"age": ("int", "1.5")}, "number_format"),
        ({}, {"weight": ("float", "1e39")}, "non_finite"),
        ({}, {"label": ("float", "1.5")}, "type"),
    ],
)
def test_a_bad_trace_is_rejected(
    path: pathlib.Path,
    event: dict[str, tuple[str, str]],
    trace: dict[str, tuple[str, str]],
    code: str,
) -> None:
    path.write_bytes(log(_trace(EVENT), _trace(EVENT, EVENT | event, **trace), _trace(EVENT)))
    chunk, rejected = _read(path, LOG)
    assert [(r.number, r.code) for r in rejected] == [(2, code)]
    assert list(chunk.number) == [1, 3]


@pytest.mark.parametrize("key", ["cost", "code", "time:timestamp"])
def test_an_attribute_that_an_event_lacks_is_null(path: pathlib.Path, key: str) -> None:
    less = {name: cell for name, cell in EVENT.items() if name != key}
    path.write_bytes(log(_trace(EVENT), _trace(EVENT, less)))
    chunk, rejected = _read(path, LOG)
    assert [(r.number, r.code) for r in rejected] == [(2, "null")]
    assert "step 1" in rejected[0].detail and list(chunk.number) == [1]


@pytest.mark.parametrize("key", sorted(EVENT))
def test_an_attribute_that_no_event_has_stops_the_run(path: pathlib.Path, key: str) -> None:
    less = {name: cell for name, cell in EVENT.items() if name != key}
    path.write_bytes(log(_trace(less), _trace(less)))
    with pytest.raises(BadDataError, match=rf"missing_column: .*f\.xes: .*'{key}', received"):
        _read(path, LOG)


ENTITIES = b'<!DOCTYPE log [<!ENTITY a "x"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (log("<trace>"), "line 6: mismatched tag"),
        (log(_trace(EVENT))[:-8], "line 5: no element found"),
        (b"<log/>x", "line 1: junk"),
        (log(_trace(EVENT)).replace(b"go", b"\xff"), "line 5: not well-formed"),
        (log(_trace(EVENT)).replace(b"go", b"&nbsp;"), "line 5: undefined entity"),
        (b'<?xml version="1.0" encoding="koi9"?><log/>', "line 1: unknown encoding"),
        (ENTITIES + b"<log>&b;</log>", "line 1: expected no document type"),
        (b'<!DOCTYPE log SYSTEM "file:///etc/passwd"><log/>', "line 1: expected no document type"),
    ],
)
def test_a_file_that_is_no_xml_stops_the_run(path: pathlib.Path, text: bytes, message: str) -> None:
    path.write_bytes(text)
    with pytest.raises(BadDataError, match=rf"unreadable: .*f\.xes: {message}"):
        _read(path, LOG)


WHOLE = log(*map(trace_of, samples(3)))


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=3), st.integers(0, 5))
@settings(max_examples=sampled(500), deadline=None)
def test_a_mutant_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, place: int, inserted: bytes, removed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutant.xes"
    path.write_bytes(WHOLE[:place] + inserted + WHOLE[place + removed :])
    try:
        chunk, rejected = _read(path)
    except BadDataError as error:
        assert error.code in ("unreadable", "missing_column")
    else:
        assert len(chunk) + len(rejected) <= 3
