"""TFRecord of tf.Example in the raw contract, a record a sequence.

sequence_id, entity_id  bytes or int64 [1], may be absent
length                  int64 [1], may be absent; if it is there, it is checked
a feature               float [T], under its own name
a category              bytes or int64 [T], under its own name
the time                int64, float or bytes (ISO 8601) [T], the column of `input.order_by`
context                 [1], may be absent
"""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from ragline.components.contract.columns import Columns
from ragline.components.ingest.formats.parsing import protos
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Part, Piece

TYPES = {
    "bytes_list": schema_pb2.BYTES,
    "int64_list": schema_pb2.INT,
    "float_list": schema_pb2.FLOAT,
}


def pieces(file: File, columns: Columns, options: InputOptions, piece_bytes: int) -> list[Piece]:
    """Ranges of records; a compressed file is one piece.

    Raises:
      BadDataError: `framing`, or `unreadable`.
    """
    return protos.pieces(file, _EXAMPLE, protos.layout(columns, options, file), piece_bytes)


def read(piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
    """The records of a piece.

    Raises:
      BadDataError: `framing`, or `unreadable`.
    """
    yield from protos.read(piece, _EXAMPLE, protos.layout(columns, options, piece.file))


def _decoder(
    records: protos.Kinds, steps: protos.Kinds
) -> Callable[[list[bytes]], tuple[protos.Lists, protos.Lists]]:
    schema = schema_pb2.Schema()
    for name, kind in {**records, **steps}.items():
        schema.feature.add(name=name, type=TYPES[kind])
    serialised = schema.SerializeToString()

    def decode(payloads: list[bytes]) -> tuple[protos.Lists, protos.Lists]:
        # A new one each time: one that has failed goes on with what it had half decoded.
        batch = ExamplesToRecordBatchDecoder(serialised).DecodeBatch(payloads)
        return (
            {name: batch.column(name) for name in records},
            {name: batch.column(name) for name in steps},
        )

    return decode


def _count(name: str, feature: Any, kind: str) -> int:
    found = feature.WhichOneof("kind")
    if found is None:
        raise RejectedRecord("null", f"column {name!r}: expected a {kind}, received null")
    if found != kind:
        raise RejectedRecord("type", f"column {name!r}: expected a {kind}, received a {found}")
    return len(getattr(feature, kind).value)


_EXAMPLE = protos.Message(
    name="a tf.Example",
    parse=tf.train.Example.FromString,
    records=lambda example: example.features.feature,
    steps=lambda example: example.features.feature,
    count=_count,
    decoder=_decoder,
)
