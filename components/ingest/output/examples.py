"""Encode Chunks as serialised tf.train.Examples of the raw record contract.

Columns stand in the order of their names, so that equal sequences make equal bytes. These are put
together here, because a column's numbers already lie in memory as the wire format wants them:
tfx_bsl's encoder takes 3 times as long and orders the columns differently each time,
tf.train.Example takes 15 times as long.

Source: protobuf.dev/programming-guides/encoding; tensorflow/core/example/{example,feature}.proto.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Collection
from typing import Any

import numpy as np

from ragline.components.contract import kinds
from ragline.components.contract.columns import (
    ENTITY_ID,
    LENGTH,
    LENGTH_BUCKET,
    MISSING_BUCKET,
    SEQUENCE_ID,
    TIME,
    Columns,
    ContextKind,
    length_bucket,
    missing_bucket,
)
from ragline.components.ingest.records.chunk import Chunk

# Field 1 of Example, Features, FloatList and of an entry of a map: a field of bytes.
_FIRST = b"\x0a"
_VALUE = b"\x12"
_BYTES, _FLOATS, _INTS = b"\x0a", b"\x12", b"\x1a"


def encode_chunk(chunk: Chunk, columns: Columns) -> list[bytes]:
    """Encode N sequences as N serialised Examples.

    Args:
      chunk: N sequences of at least one step each, each with its ids.
      columns: the columns of the schema; context that a sequence lacks is left out of its Example.
    """
    entries: dict[str, Iterable[bytes]] = {
        SEQUENCE_ID: _each(SEQUENCE_ID, chunk.sequence_id, kinds.TEXT),
        ENTITY_ID: _each(ENTITY_ID, chunk.entity_id, kinds.TEXT),
        LENGTH: _each(LENGTH, chunk.length.tolist(), kinds.INTEGER),
        LENGTH_BUCKET: _each(LENGTH_BUCKET, map(length_bucket, chunk.length.tolist()), kinds.TEXT),
    }
    stops = np.cumsum(chunk.length).tolist()
    starts = chunk.starts.tolist()
    spans = list(zip(starts, stops, strict=True))
    for feature in columns.features:
        entries[feature.name] = _floats(feature.name, chunk.values[feature.name], spans)
    for category in columns.categories:
        column = chunk.values[category.name]
        encode = category.pick(words=_texts, ids=_ints)
        entries[category.name] = encode(category.name, column, spans)
    if columns.has_missing_bucket:
        entries[MISSING_BUCKET] = _each(MISSING_BUCKET, missing_buckets(chunk, columns), kinds.TEXT)
    if columns.has_time and chunk.time is not None:
        entries[TIME] = _ints(TIME, chunk.time, spans)
    for name, kind in columns.context.items():
        entries[name] = _each(name, chunk.context[name], kind)
    ordered = (entries[name] for name in sorted(entries))
    return [_field(_FIRST, b"".join(parts)) for parts in zip(*ordered, strict=True)]


def missing_buckets(chunk: Chunk, columns: Columns) -> Iterator[str]:
    """Return the bucket of each sequence's share of missing values, of all columns together."""
    missing = np.zeros(int(chunk.length.sum()), np.int64)
    for feature in columns.features:
        missing += np.isnan(chunk.values[feature.name])
    for category in columns.categories:
        if category.allow_missing:
            missing += chunk.values[category.name] == ""
    values = chunk.length * (len(columns.features) + len(columns.categories))
    # An empty Chunk has no first place to add up from.
    counts = np.add.reduceat(missing, chunk.starts) if len(chunk) else missing
    return map(missing_bucket, counts.tolist(), values.tolist())


def _field(tag: bytes, content: bytes) -> bytes:
    return b"".join((tag, _varint(len(content)), content))


def _varint(number: int) -> bytes:
    if number < 1 << 7:
        return number.to_bytes()
    low = bytearray()
    while number >= 1 << 7:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    low.append(number)
    return bytes(low)


def _entry(name: str, feature: bytes) -> bytes:
    """Encode a column of an Example: an entry of the map from names to Features."""
    return _field(_FIRST, _field(_FIRST, name.encode()) + _field(_VALUE, feature))


@functools.lru_cache(1 << 16)
def _before(name: str, kind: bytes, size: int) -> bytes:
    """Encode what stands in an entry before `size` bytes of a text, or of all numbers."""
    entry = _entry(name, _field(kind, _field(_FIRST, bytes(size))))
    return entry[: len(entry) - size]


def _each(name: str, values: Iterable[Any | None], context: ContextKind) -> Iterator[bytes]:
    """Encode the entries of a column with one value a sequence, empty where there is none."""
    kind, content_of = kinds.pick(context, text=_TEXT, integer=_INTEGER, number=_NUMBER)
    for value in values:
        if value is None:
            yield b""
        else:
            content = content_of(value)
            yield _before(name, kind, len(content)) + content


_Content = tuple[bytes, Callable[[Any], bytes]]
_TEXT: _Content = (_BYTES, str.encode)
_INTEGER: _Content = (_INTS, lambda number: _varint(number % (1 << 64)))
_NUMBER: _Content = (_FLOATS, lambda number: np.array(number, "<f4").tobytes())


def _floats(name: str, column: np.ndarray, spans: Collection[tuple[int, int]]) -> Iterator[bytes]:
    flat = column.astype("<f4").tobytes()
    for start, stop in spans:
        yield _before(name, _FLOATS, 4 * (stop - start)) + flat[4 * start : 4 * stop]


def _ints(name: str, column: np.ndarray, spans: Collection[tuple[int, int]]) -> Iterator[bytes]:
    flat, ends = _varints(column)
    for start, stop in spans:
        content = flat[ends[start] : ends[stop]]
        yield _before(name, _INTS, len(content)) + content


def _varints(column: np.ndarray) -> tuple[bytes, Collection[int]]:
    """Encode int64 [N] as varints, and return the N + 1 places where each begins or ends.

    Seven bits a byte, the lowest first; the highest bit of a byte says that another follows.
    """
    rest = column.astype("<i8").view(np.uint64)[:, np.newaxis] >> np.arange(
        0, 64, 7, dtype=np.uint64
    )
    used = rest > 0
    used[:, 0] = True
    another = np.roll(used, -1, axis=1)
    another[:, -1] = False
    groups = (rest & 0x7F) | (another.astype(np.uint64) << np.uint64(7))
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return groups[used].astype(np.uint8).tobytes(), ends.tolist()


def _texts(name: str, column: np.ndarray, spans: Collection[tuple[int, int]]) -> Iterator[bytes]:
    fields = {text: _field(_FIRST, text.encode()) for text in set(column)}
    for start, stop in spans:
        content = b"".join([fields[text] for text in column[start:stop]])
        yield _entry(name, _field(_BYTES, content))
