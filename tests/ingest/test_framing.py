"""Tests of the framing check: records come back exactly, or the file is refused, and never more."""

import gzip
import io
import struct
from pathlib import Path

import pytest
from apache_beam.io.tfrecordio import _TFRecordUtil
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.source import framing, raw_files

PAYLOADS = [b"first", b"", b"x" * 3000, b"last"]


def _framed(*payloads: bytes) -> bytes:
    """Written by Beam, which is the oracle."""
    file = io.BytesIO()
    for payload in payloads:
        _TFRecordUtil.write_record(file, payload)
    return file.getvalue()


def _read(data: bytes, *, size_is_known: bool = True) -> list[bytes]:
    size = len(data) if size_is_known else None
    return [payload for _, payload in framing.records(io.BytesIO(data), size, "f")]


WHOLE = _framed(*PAYLOADS)


@pytest.mark.parametrize("size_is_known", [True, False])
def test_records_come_back_with_their_places(size_is_known: bool) -> None:
    size = len(WHOLE) if size_is_known else None
    records = list(framing.records(io.BytesIO(WHOLE), size, "f"))
    assert [payload for _, payload in records] == PAYLOADS
    assert [offset for offset, _ in records] == [0, 21, 37, 3053]


def test_a_range_of_records_is_read_by_itself() -> None:
    file = io.BytesIO(WHOLE)
    file.seek(21)
    records = framing.records(file, 3053, "f", start=21, first=2)
    assert list(records) == [(21, b""), (37, PAYLOADS[2])]


def test_an_empty_file_has_no_records() -> None:
    assert _read(b"") == _read(b"", size_is_known=False) == []


def _flipped(data: bytes, byte: int) -> bytes:
    return data[:byte] + bytes([data[byte] ^ 1]) + data[byte + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (WHOLE[:25], "record 2 at byte 21: expected a header of 12 bytes, received 4"),
        (WHOLE[:100], "record 3 at byte 37: states 3000 bytes; expected at most .*; 47 remain"),
        (WHOLE[:-1], "record 4 at byte 3053: states 4 bytes; expected at most .*; 3 remain"),
        (WHOLE[:33], "record 2 at byte 21: states 0 bytes; expected at most .*; 0 remain"),
        (_flipped(WHOLE, 21), "record 2 at byte 21: the checksum of its length does not match"),
        (_flipped(WHOLE, 29), "record 2 at byte 21: the checksum of its length does not match"),
        (_flipped(WHOLE, 60), "record 3 at byte 37: the checksum of its data does not match"),
        (_flipped(WHOLE, 3051), "record 3 at byte 37: the checksum of its data does not match"),
    ],
)
def test_a_broken_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadDataError, match=f"framing: f: {message}"):
        _read(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (WHOLE[:25], "record 2 at byte 21: expected a header of 12 bytes, received 4"),
        (WHOLE[:100], "record 3 at byte 37: expected 3004 bytes after its header, received 51"),
        (_flipped(WHOLE, 60), "record 3 at byte 37: the checksum of its data does not match"),
    ],
)
def test_a_broken_file_of_unknown_size_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadDataError, match=f"framing: f: {message}"):
        _read(data, size_is_known=False)


@pytest.mark.parametrize("size_is_known", [True, False])
@pytest.mark.parametrize("claimed", [1 << 40, (1 << 64) - 1, 1 << 31])
def test_a_length_that_no_file_holds_is_refused_before_it_is_allocated(
    claimed: int, size_is_known: bool
) -> None:
    length = struct.pack("<Q", claimed)
    data = length + struct.pack("<I", framing.masked_crc(length)) + b"abc"
    assert len(data) == 15
    with pytest.raises(BadDataError, match=f"framing: f: record 1 at byte 0: states {claimed} "):
        _read(data, size_is_known=size_is_known)


def test_a_length_that_a_short_compressed_file_claims_is_not_allocated() -> None:
    length = struct.pack("<Q", (1 << 31) - 1)
    data = length + struct.pack("<I", framing.masked_crc(length)) + b"abc"
    with pytest.raises(BadDataError, match=r"framing: f: .* received 3: the file is truncated"):
        _read(data, size_is_known=False)


def test_a_truncated_compressed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(WHOLE)[:-5])
    with (
        pytest.raises(BadDataError, match=r"unreadable: .*f\.gz"),
        raw_files.open(str(path)) as file,
    ):
        list(framing.records(file, None, str(path)))


@given(
    st.binary(max_size=12),
    st.integers(0, len(WHOLE)),
    st.integers(0, 20),
    st.booleans(),
)
@settings(max_examples=sampled(1000), deadline=None)
def test_a_mutant_is_refused_or_read_as_far_as_it_is_sound(
    inserted: bytes, place: int, removed: int, size_is_known: bool
) -> None:
    data = WHOLE[:place] + inserted + WHOLE[place + removed :]
    try:
        records = _read(data, size_is_known=size_is_known)
    except BadDataError as error:
        assert error.code == "framing"
    else:
        assert _framed(*records) == data
