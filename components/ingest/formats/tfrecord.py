"""Read TFRecord of tf.Example in the raw contract, a record a sequence.

sequence_id, entity_id  bytes or int64 [1], may be absent
length                  int64 [1], may be absent; if it is there, it is checked
a feature               float [T], under its own name
a category              bytes or int64 [T], under its own name
the time                int64, float or bytes (ISO 8601) [T], the column of `input.order_by`
context                 [1], may be absent
"""

import functools
from collections.abc import Callable
from typing import Any

from ragline.components.ingest.formats.interface import Use
from ragline.components.ingest.formats.parsing import protos
from ragline.components.ingest.records.checks import RejectedRecord


def _decoder(
    records: protos.Kinds, steps: protos.Kinds
) -> Callable[[list[bytes]], tuple[protos.Lists, protos.Lists]]:
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    schema = schema_pb2.Schema()
    for name, kind in {**records, **steps}.items():
        schema.feature.add(name=name, type=protos.schema_type(kind))
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
    received = feature.WhichOneof("kind")
    if received is None:
        raise RejectedRecord("null", f"column {name!r}: expected a {kind}, received null")
    if received != kind:
        raise RejectedRecord("type", f"column {name!r}: expected a {kind}, received a {received}")
    return len(getattr(feature, kind).value)


class TfRecord(protos.MessageFormat):
    """Reads TFRecord files of tf.Example."""

    uses = (Use("TFRecord of tf.Example", "a record"),)
    holds_lists = False

    @staticmethod
    @functools.cache
    def message() -> protos.Message:
        """Describe tf.Example."""
        import tensorflow as tf  # Seconds, which no other format has to wait for.

        return protos.Message(
            name="a tf.Example",
            parse=tf.train.Example.FromString,
            records=lambda example: example.features.feature,
            steps=lambda example: example.features.feature,
            count=_count,
            decoder=_decoder,
        )
