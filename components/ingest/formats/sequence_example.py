"""Read TFRecord of tf.SequenceExample, a record a sequence.

`feature_lists` holds the steps: under the name of each feature, category and the time one
tf.train.Feature a step, with one value, or with none where it is missing. `context` holds ids,
`length` and context columns, as in a tf.Example of the raw contract.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.ingest.formats.interface import Use
from ragline.components.ingest.formats.parsing import protos
from ragline.components.ingest.records.checks import RejectedRecord

# A column of its own among those of the context: no schema has such a name.
_STEPS = "##steps##"


def _decoder(
    records: protos.Kinds, steps: protos.Kinds
) -> Callable[[list[bytes]], tuple[protos.Lists, protos.Lists]]:
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.cc.tfx_bsl_extension.coders import SequenceExamplesToRecordBatchDecoder

    schema = schema_pb2.Schema()
    for name, kind in records.items():
        schema.feature.add(name=name, type=protos.schema_type(kind))
    inner = schema.feature.add(name=_STEPS, type=schema_pb2.STRUCT).struct_domain
    for name, kind in steps.items():
        inner.feature.add(name=name, type=protos.schema_type(kind))
    serialised = schema.SerializeToString()

    def decode(payloads: list[bytes]) -> tuple[protos.Lists, protos.Lists]:
        # A new one each time: one that has failed goes on with what it had half decoded.
        batch = SequenceExamplesToRecordBatchDecoder(_STEPS, serialised).DecodeBatch(payloads)
        structs = batch.column(_STEPS)
        return (
            {name: batch.column(name) for name in records},
            {
                name: _cells(
                    structs.field(name), _integers(name, payloads) if kind == "int64_list" else None
                )
                for name, kind in steps.items()
            },
        )

    return decode


def _integers(name: str, payloads: list[bytes]) -> pa.Array:
    """Return all values of a column of integers, by the messages.

    Of an int64 in a feature list, the decoder of tfx_bsl 1.21 keeps the lower 32 bits.
    """
    messages = map(SequenceExample.message().parse, payloads)
    lists = (message.feature_lists.feature_list for message in messages)
    return pa.array(
        [
            value
            for columns in lists
            if name in columns
            for feature in columns[name].feature
            for value in feature.int64_list.value
        ],
        pa.int64(),
    )


def _cells(lists: pa.Array, values: pa.Array | None) -> pa.Array:
    """Convert [N] lists of T lists of one value to [N] lists of T values, null for an empty one.

    Args:
      lists: as they were decoded.
      values: all of them, where those in `lists` are not to be trusted.
    """
    inner = lists.flatten()
    lengths = pc.fill_null(pc.list_value_length(inner), 0).to_numpy()
    if (lengths > 1).any():
        raise RuntimeError("a step of several values")
    starts = np.cumsum(lengths) - lengths
    cells = pc.take(
        inner.flatten() if values is None else values, pa.array(starts, mask=lengths == 0)
    )
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(counts)])
    mask = lists.is_null() if lists.null_count else None
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), cells, mask=mask)


def _count(name: str, steps: Any, kind: str) -> int:
    for step, feature in enumerate(steps.feature):
        received = feature.WhichOneof("kind")
        if received not in (kind, None):
            raise RejectedRecord(
                "type", f"column {name!r}, step {step}: expected a {kind}, received a {received}"
            )
        if received and len(getattr(feature, kind).value) > 1:
            raise RejectedRecord(
                "bad_dim",
                f"column {name!r}, step {step}: expected one value, "
                f"received {len(getattr(feature, kind).value)}",
            )
    return len(steps.feature)


class SequenceExample(protos.MessageFormat):
    """Reads TFRecord files of tf.SequenceExample."""

    uses = (Use("TFRecord of tf.SequenceExample", "a record"),)
    holds_lists = True

    @staticmethod
    @functools.cache
    def message() -> protos.Message:
        """Describe tf.SequenceExample."""
        import tensorflow as tf  # Seconds, which no other format has to wait for.

        return protos.Message(
            name="a tf.SequenceExample",
            parse=tf.train.SequenceExample.FromString,
            records=lambda example: example.context.feature,
            steps=lambda example: example.feature_lists.feature_list,
            count=_count,
            decoder=_decoder,
        )
