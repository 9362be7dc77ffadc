"""Tests of NumPy archives: both forms, what is rejected, and what stops the run."""

import io
import pathlib
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest.random_records import (
    COLUMNS,
    NUMBERS_ONLY,
    check_columns,
    check_numbers,
    file_at,
    joined,
    samples,
)
from ingest.written import flat_arrays
from profiles import sampled

from ragline.components.contract import exits
from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import npz
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import Chunk, Piece, QuarantineLine
from ragline.pipeline import config
from ragline.pipeline.cli.main import main
from ragline.pipeline.onboard import plan

PLAIN = InputOptions(train="x")
TIMED = InputOptions(train="x", order_by="time", time_unit="ns")
ONE = Columns(features=(Feature(name="a", unit=None, allow_missing=True),), context={})


def _pieces(
    path: pathlib.Path,
    columns: Columns = NUMBERS_ONLY,
    options: InputOptions = PLAIN,
    piece_bytes: int = 1 << 25,
) -> list[Piece]:
    return npz.Npz().pieces(file_at(path, "npz"), columns, options, piece_bytes)


def _read(
    path: pathlib.Path,
    columns: Columns = NUMBERS_ONLY,
    options: InputOptions = PLAIN,
    piece_bytes: int = 1 << 25,
) -> tuple[Chunk, list[QuarantineLine]]:
    return joined(
        (
            part
            for piece in _pieces(path, columns, options, piece_bytes)
            for part in npz.Npz().read(piece, columns, options)
        ),
        columns,
    )


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "f.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("steps", [7, npz.STEPS])
def test_the_flat_form_comes_back(
    path: pathlib.Path, save: Any, order: Any, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "STEPS", steps)
    arrays = flat_arrays(samples(300))
    save(path, **arrays | {"values": np.asarray(arrays["values"], order=order)})
    chunk, rejected = _read(path, COLUMNS, TIMED)
    check_columns(chunk, samples(300))
    assert not rejected


@pytest.mark.parametrize("length", ["length", "lengths", "row_lengths"])
@pytest.mark.parametrize("dtype", [">f8", "<f4", "f2"])
def test_features_may_have_arrays_of_their_own(path: pathlib.Path, length: str, dtype: str) -> None:
    a, b = np.arange(3).astype(dtype), np.array([1, 2, 3], np.uint8)
    np.savez(path, a=a, b=b, **{length: np.array([2, 1], ">i4")})
    chunk, rejected = _read(path)
    assert chunk.values["a"].tolist() == [0, 1, 2] and chunk.values["b"].tolist() == [1, 2, 3]
    assert list(chunk.length) == [2, 1] and chunk.sequence_id == [None, None] and not rejected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("x", "y", "own"), [[0, 2], [1, 3], [7, 8]]),  # Of the others, in order.
        (("feature_1", "own"), [[1, 3], [7, 8]]),  # By their places, and no other.
        (("own", "feature_0", "feature_1"), [[7, 8], [0, 2], [1, 3]]),
    ],
)
def test_an_array_may_stand_beside_the_values(
    path: pathlib.Path, names: tuple[str, ...], expected: list[list[float]]
) -> None:
    np.savez(path, values=np.arange(4.0).reshape(2, 2), own=[7, 8], length=[2])
    features = tuple(Feature(name=name, unit=None, allow_missing=False) for name in names)
    chunk, rejected = _read(path, Columns(features=features, context={}))
    assert [chunk.values[name].tolist() for name in names] == expected and not rejected


@pytest.mark.parametrize("piece_bytes", [1, 2000, 1 << 25])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_array_a_sequence_comes_back(path: pathlib.Path, save: Any, piece_bytes: int) -> None:
    made = samples(30 if piece_bytes == 1 else 300)
    save(path, **{s.sequence_id: s.values for s in made})
    chunk, rejected = _read(path, piece_bytes=piece_bytes)
    check_numbers(chunk, made)
    assert list(chunk.number) == list(range(1, len(made) + 1))
    assert chunk.sequence_id == [s.sequence_id for s in made] and not rejected
    assert (len(_pieces(path, piece_bytes=piece_bytes)) > 1) == (piece_bytes < 1 << 25)


def test_arrays_without_names_have_no_ids(path: pathlib.Path) -> None:
    np.savez(path, np.zeros((2, 2)), arr_x=np.ones((1, 2)))
    chunk, _ = _read(path)
    assert sorted(chunk.sequence_id, key=str) == [None, "arr_x"]


def test_of_one_feature_an_array_may_be_a_vector(path: pathlib.Path) -> None:
    np.savez(path, x=np.arange(3), y=np.zeros((2, 1)), z=np.zeros(0))
    chunk, rejected = _read(path, ONE)
    assert list(chunk.length) == [3, 2, 0] and chunk.values["a"].tolist() == [0, 1, 2, 0, 0]
    assert not rejected


def test_an_empty_sequence_is_left_to_the_checks(path: pathlib.Path) -> None:
    np.savez(path, values=np.zeros((2, 2)), length=[0, 2, 0])
    chunk, rejected = _read(path)
    assert list(chunk.length) == [0, 2, 0] and not rejected


def test_an_archive_of_nothing_has_no_records(path: pathlib.Path) -> None:
    np.savez(path)
    assert len(_read(path)[0]) == 0


def test_a_context_column_that_is_not_there_is_absent(path: pathlib.Path) -> None:
    columns = Columns(features=NUMBERS_ONLY.features, context={"label": "bytes", "age": "float"})
    np.savez(path, values=np.zeros((2, 2)), length=[1, 1], age=[np.nan, 2.0])
    assert _read(path, columns)[0].context == {"label": [None, None], "age": [None, 2.0]}
    np.savez(path, values=np.zeros((2, 2)), length=[1, 1], label=["", "x"])
    assert _read(path, columns)[0].context == {"label": [None, "x"], "age": [None, None]}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (np.array(["2024-01-01", "2024-01-02"], "M8[D]"), [1704067200 * 10**9, 1704153600 * 10**9]),
        (np.array([3, 5], "M8[us]"), [3000, 5000]),
        (np.array([1.5, -2.0]), [1_500_000_000, -2_000_000_000]),
        (np.array(["1970-01-01T00:00:01Z", "1970-01-01"]), [10**9, 0]),
        (np.array([b"1970-01-01T00:00:01Z", b"1970-01-01"]), [10**9, 0]),
    ],
)
def test_times_are_nanoseconds(path: pathlib.Path, time: np.ndarray, expected: list[int]) -> None:
    np.savez(path, values=np.zeros((2, 2)), length=[2], time=time)
    chunk, rejected = _read(path, options=InputOptions(train="x", order_by="time"))
    assert chunk.time is not None and chunk.time.tolist() == expected and not rejected


WORDS = Columns(
    features=NUMBERS_ONLY.features,
    context={"label": "bytes", "age": "int", "weight": "float"},
    categories=(Category(name="word", kind="bytes"),),
)
CODES = Columns(
    features=NUMBERS_ONLY.features, context={}, categories=(Category(name="code", kind="int"),)
)


@pytest.mark.parametrize(
    ("columns", "options", "change", "code"),
    [
        (NUMBERS_ONLY, PLAIN, {"length": [2, -1, 2]}, "length_mismatch"),
        (NUMBERS_ONLY, PLAIN, {"sequence_id": [b"a", b"\xff", b"c"]}, "encoding"),
        (NUMBERS_ONLY, PLAIN, {"sequence_id": ["a", "\ud800", "c"]}, "encoding"),
        (NUMBERS_ONLY, PLAIN, {"sequence_id": ["a", "", "c"]}, "type"),
        (NUMBERS_ONLY, PLAIN, {"entity_id": ["a", "\ud800", "c"]}, "encoding"),
        (WORDS, PLAIN, {"word": [b"a", b"b", b"\xc3", b"d"]}, "encoding"),
        (WORDS, PLAIN, {"label": [b"a", b"\xff", b"d"]}, "encoding"),
        (WORDS, PLAIN, {"age": np.array([1, 2**63, 3], np.uint64)}, "int_overflow"),
        (WORDS, PLAIN, {"weight": [1, 1e39, 3]}, "non_finite"),
        (CODES, PLAIN, {"code": np.array([1, 1, 2**63, 1], np.uint64)}, "int_overflow"),
        (NUMBERS_ONLY, TIMED, {"time": [0.0, 1.0, np.nan, 2.0]}, "null"),
        (NUMBERS_ONLY, TIMED, {"time": [0.0, 1.0, 1e30, 2.0]}, "int_overflow"),
        (NUMBERS_ONLY, TIMED, {"time": np.array([0, 1, "NaT", 3], "M8[s]")}, "null"),
        (NUMBERS_ONLY, TIMED, {"time": ["1970-01-01"] * 2 + ["x", "1970-01-01"]}, "number_format"),
    ],
)
def test_a_bad_record_is_rejected(
    path: pathlib.Path, columns: Columns, options: InputOptions, change: dict[str, Any], code: str
) -> None:
    """Of three records, the second one is bad."""
    arrays = {
        "values": np.arange(8.0).reshape(4, 2),
        "length": [2, 1, 1],
        "word": ["a", "b", "c", "d"],
        "code": [1, 2, 3, 4],
        "time": [1, 2, 3, 4],
    }
    np.savez(path, **arrays | change)
    chunk, rejected = _read(path, columns, options)
    assert [(r.number, r.code) for r in rejected] == [(2, code)]
    assert list(chunk.number) == [1, 3]
    last = 4.0 if code == "length_mismatch" else 6.0
    assert chunk.values["a"].tolist()[:3] == [0.0, 2.0, last]
    assert rejected[0].detail


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros((2, 3)), "bad_dim"),
        (np.zeros(2), "bad_dim"),
        (np.float64(1), "bad_dim"),
        (np.array([["a", "b"]]), "type"),
        (np.ones((2, 2), bool), "type"),
        (np.ones((2, 2), complex), "type"),
        (np.zeros((2, 2), np.longdouble), "type"),
        (np.zeros((2, 2), "M8[s]"), "type"),
    ],
)
def test_an_array_that_is_no_sequence_is_rejected(
    path: pathlib.Path, array: np.ndarray, code: str
) -> None:
    np.savez(path, x=np.ones((1, 2)), bad=array, y=np.ones((3, 2)))
    chunk, rejected = _read(path)
    assert [(r.number, r.code, r.sequence_id) for r in rejected] == [(2, code, "bad")]
    assert chunk.sequence_id == ["x", "y"] and list(chunk.length) == [1, 3]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"values": np.zeros((2, 2))}, "missing_column: .*f.npz: expected an array 'length'"),
        ({"a": [1.0], "b": [1.0]}, "missing_column: .*f.npz: expected an array 'length'"),
        ({"a": [1.0], "length": [1]}, "missing_column: .*f.npz: expected the columns 'b'"),
        ({"values": np.zeros((2, 3)), "length": [2]}, r"bad_dim: .*: expected \[sum T, 2\]"),
        ({"values": np.zeros(2), "length": [2]}, "bad_dim: .*: expected 2 dimensions"),
        ({"values": np.zeros((2, 2), bool), "length": [2]}, "type: .*: expected numbers"),
        ({"values": np.zeros((2, 2)), "length": [2.0]}, "type: .*: expected integers"),
        ({"values": np.zeros((2, 2)), "length": [1]}, "length_mismatch: .* 2 steps .* received 1"),
        ({"values": np.zeros((2, 2)), "length": [2, 1]}, "length_mismatch: .* received 3"),
        ({"values": np.zeros((2, 2)), "length": [2**62] * 4}, "length_mismatch"),
        ({"values": np.zeros((2, 2)), "length": [2], "lengths": [2]}, "length_mismatch: .*one"),
        ({"a": [1.0], "b": [1.0, 2.0], "length": [1]}, "length_mismatch: .*'b': expected 1"),
        (
            {"values": np.zeros((2, 2)), "length": [2], "sequence_id": ["a", "b", "c"]},
            "length_mismatch: .*'sequence_id': expected 1 or 2 values",
        ),
        ({"x": np.array([[1, 2], [3]], object)}, r"pickled: .*f.npz: array 'x' holds .*savez"),
        ({"values": np.zeros((2, 2)), "length": np.array([2], object)}, "pickled: .*'length'"),
    ],
)
def test_a_bad_archive_stops_the_run(
    path: pathlib.Path, arrays: dict[str, Any], message: str
) -> None:
    np.savez(path, **arrays)
    with pytest.raises(BadDataError, match=message):
        _read(path)


@pytest.mark.parametrize(
    ("columns", "options"),
    [(NUMBERS_ONLY, TIMED), (WORDS, PLAIN), (ONE, InputOptions(train="x", entity="person"))],
)
def test_one_array_a_sequence_has_only_numbers(
    path: pathlib.Path, columns: Columns, options: InputOptions
) -> None:
    np.savez(path, x=np.zeros((2, 2)))
    with pytest.raises(BadDataError, match=r"missing_column: .*f\.npz"):
        _read(path, columns, options)


def _with_header(header: str, data: bytes = b"") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _header(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (_with_header(_header("'<f8'", "(1000000000000, 2)"), b"x" * 8), "unreadable: .* 8 remain"),
        (_with_header(_header("'<f8'", "(-1, 2)")), "unreadable"),
        (_with_header(_header("'<U0'", "(1000000000000,)")), "unreadable"),
        (_with_header("[" * 9000), "unreadable"),
        (_with_header("{}"), "unreadable"),
        (_with_header("x" * 20000), "unreadable: .* [Hh]eader"),
        (b"text", "unreadable: .*magic"),
        (b"", "unreadable"),
        (b"\x93NUMPY\x03\x00\x00\x00", "unreadable: .*format"),
    ],
)
def test_a_header_that_lies_is_refused(path: pathlib.Path, member: bytes, message: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member)
    with pytest.raises(BadDataError, match=message):
        _read(path)


def test_other_members_than_arrays_are_refused(path: pathlib.Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "x")
    with pytest.raises(BadDataError, match=r"unreadable: .*'notes\.txt'"):
        _read(path)


def test_a_name_that_stands_twice_is_refused(path: pathlib.Path) -> None:
    np.savez(path, x=np.zeros((1, 2)))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(BadDataError, match=r"unreadable: .* of one name"):
        _read(path)


def test_a_bomb_is_refused(path: pathlib.Path) -> None:
    deflated = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with deflated as archive, archive.open("x.npy", "w") as file:
        file.write(_with_header(_header("'<f8'", f"({19 << 20}, 2)")))
        for _ in range(19):
            file.write(bytes(16 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadDataError, match="zip_bomb"):
        _pieces(path)


def test_members_that_overlap_are_refused(path: pathlib.Path) -> None:
    """As of Fifield's bomb: every entry of the directory points at the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", np.zeros(1000).tobytes())
        entry = archive.infolist()[0]
        archive.filelist += [entry] * 3
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(BadDataError, match="zip_bomb"):
        _pieces(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_truncated_or_flipped_archive_is_refused(path: pathlib.Path, save: Any) -> None:
    arrays = {"values": np.random.default_rng(0).normal(size=(5000, 2)), "length": [5000]}
    save(path, **arrays)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[: len(whole) // 2], whole[:10], b""):
        path.write_bytes(broken)
        with pytest.raises(BadDataError, match="unreadable"):
            _read(path)
    flipped = bytearray(whole)
    flipped[whole.index(b"values.npy") + 40_000] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(BadDataError, match="unreadable"):
        _read(path)


def _archives() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        for arrays in (flat_arrays(samples(5)), {s.sequence_id: s.values for s in samples(5)}):
            file = io.BytesIO()
            save(file, **arrays)
            found.append(file.getvalue())
    return found


ARCHIVES = _archives()
# As a share of the file.
PLACES = st.floats(0, 1, exclude_max=True)


@given(
    st.sampled_from(ARCHIVES),
    st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=sampled(1500), deadline=None)
def test_a_mutant_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory,
    whole: bytes,
    changes: list[tuple[float, int]],
    timed: bool,
) -> None:
    """Only zip's own names and sizes have no checksum: what is read, is read from intact data."""
    mutant = bytearray(whole)
    for place, byte in changes:
        mutant[int(place * len(whole))] = byte
    path = tmp_path_factory.getbasetemp() / "mutant.npz"
    path.write_bytes(mutant)
    columns, options = (COLUMNS, TIMED) if timed else (NUMBERS_ONLY, PLAIN)
    numbers = {value for s in samples(5) for value in s.values[:, 0]}
    try:
        chunk, _ = _read(path, columns, options)
    except BadDataError as error:
        assert error.lines
    else:
        assert len(chunk) <= 5
        assert not len(chunk) or numbers >= set(chunk.values["a"].tolist())


def test_an_id_may_have_a_value_a_step(tmp_path):
    """As a table has it: each sequence takes its first, and one in which it changes is rejected."""
    lengths = [1 + i % 4 for i in range(60)]
    ids = np.repeat([f"s{i}" for i in range(60)], lengths)
    ids[np.cumsum(lengths)[2] - 1] = "other"  # The last of three steps.
    steps = {"x": np.arange(sum(lengths)) / 7, "sequence_id": ids}
    steps["entity_id"] = np.repeat([i % 9 for i in range(60)], lengths)
    np.savez(tmp_path / "a.npz", length=lengths, **steps)
    assert main(["init", str(tmp_path / "a.npz"), "--output", str(tmp_path / "c")]) == exits.DONE
    preview = plan.plan_run(config.load(tmp_path / "c.toml")).preview
    assert (preview.read, preview.accepted, preview.reasons) == (60, 59, {"type": 1})
    assert "sequence_id: expected the same at every step" in preview.bad[0].detail
    assert preview.encoded["columns"]["sequence_id"]["values"] == ["s0"]
    assert sum(preview.entities.values()) == 9


def test_the_first_of_each_is_that_of_a_loop():
    random = np.random.default_rng(0)
    for _ in range(50):
        length = random.integers(0, 4, 20)
        values = random.integers(0, 2, length.sum())
        parts = np.split(values, np.cumsum(length)[:-1])
        first, changes = npz.first_of_each(values, length)
        assert [*changes] == [len({*part.tolist()}) > 1 for part in parts]
        assert [int(f) for f, p in zip(first, parts, strict=True) if len(p)] == [
            int(part[0]) for part in parts if len(part)
        ]
