"""Ingest as the component runs it, for tests that look at what stands on the disk afterwards."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from ragline import schemas
from ragline.components.contract.artifacts import IngestAccount
from ragline.components.contract.columns import (
    BOOKKEEPING,
    LENGTH,
    MISSING_BUCKET,
    SPLITS,
    TIME,
    Columns,
)
from ragline.components.contract.errors import BadDataError
from ragline.components.contract.file_names import ACCOUNT_FILE
from ragline.components.ingest.executor import Executor
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.source import read_plan

RUN_ID = "run-7"
# Of an image that it does not use, TFX builds no package of itself for workers elsewhere, which
# takes seconds.
IN_PROCESS = (
    "--runner=ragline.components.runtime.local_runner.LocalRunner",
    "--sdk_container_image=none",
)

Record = dict[str, Any]

_READ = ("train", "eval", "spans", "span", "allow_outside")  # Which files, and nothing else.
_TYPES = {"bytes": schema_pb2.BYTES, "int": schema_pb2.INT, "float": schema_pb2.FLOAT}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """The artifacts and folders of one execution."""

    schema: standard_artifacts.Schema
    examples: standard_artifacts.Examples
    account: IngestAccount
    quarantine: pathlib.Path

    @property
    def shards(self) -> dict[str, list[pathlib.Path]]:
        """Split -> its files."""
        root = pathlib.Path(self.examples.uri)
        return {split: sorted((root / f"Split-{split}").iterdir()) for split in SPLITS}

    @property
    def bytes(self) -> dict[str, list[bytes]]:
        """Split -> the content of its files."""
        return {split: [p.read_bytes() for p in paths] for split, paths in self.shards.items()}

    def read_account(self) -> dict[str, Any]:
        return json.loads((pathlib.Path(self.account.uri) / ACCOUNT_FILE).read_text())

    def read_quarantine(self) -> list[Record]:
        text = (self.quarantine / RUN_ID / "rejected.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def read_records(self) -> dict[str, list[bytes]]:
        """Split -> its records in order, serialised, as tf.data reads them."""
        return {split: list(records_of(paths)) for split, paths in self.shards.items()}

    def read_examples(self) -> dict[str, dict[str, Record]]:
        """Split -> sequence_id -> column -> its values, as tf.data and the proto read them."""
        return {
            split: {
                columns["sequence_id"][0].decode(): columns for columns in map(columns_of, records)
            }
            for split, records in self.read_records().items()
        }


def records_of(paths: list[pathlib.Path]) -> Iterator[bytes]:
    """The records of shards."""
    yield from tf.data.TFRecordDataset([str(p) for p in paths], "GZIP").as_numpy_iterator()


def columns_of(record: bytes) -> Record:
    """Column -> its values."""
    features = tf.train.Example.FromString(record).features.feature
    return {
        name: list(getattr(feature, feature.WhichOneof("kind")).value)
        for name, feature in features.items()
    }


def run(
    folder: pathlib.Path,
    schema: str | Columns = "gestures",
    max_share: float = 0.01,
    beam_arguments: tuple[str, ...] = IN_PROCESS,
    fingerprint: str = "",
    **options: Any,
) -> Place:
    """One execution of the component's executor, as TFX calls it.

    Args:
      folder: for all that it writes.
      schema: the name of one, or what it is to say.
      max_share: of the quarantine.
      beam_arguments: where Beam runs.
      fingerprint: of the input, when the run began; empty, of the input as it is now.
      **options: the table `[input]`.
    """
    place = Place(
        schema=standard_artifacts.Schema(),
        examples=standard_artifacts.Examples(),
        account=IngestAccount(),
        quarantine=folder / "quarantine",
    )
    for name in ("schema", "examples", "account"):
        (folder / name).mkdir(parents=True)
        getattr(place, name).uri = str(folder / name)
    schema_file = folder / "schema" / "schema.pbtxt"
    if isinstance(schema, Columns):
        schema_file.write_text(text_format.MessageToString(schema_of(schema)))
    else:
        shutil.copy(schemas.locate(schema), schema_file)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_arguments),
        tmp_dir=str(folder / "tmp"),
        unique_id="1",
        pipeline_run_id=RUN_ID,
    )
    read = {name: options[name] for name in _READ if name in options}
    with pytest.MonkeyPatch.context() as patch:
        # TFX hands the arguments of the process, here pytest's, to absl.
        patch.setattr("sys.argv", ["ragline"])
        digest = fingerprint or read_plan.fingerprint(InputOptions(**read))
        Executor(context).Do(
            {"schema": [place.schema]},
            {"examples": [place.examples], "account": [place.account]},
            {
                "options": json.dumps({"input": options, "quarantine": {"max_share": max_share}}),
                "quarantine": str(place.quarantine),
                "fingerprint": f"{digest} source",
            },
        )
    return place


def fail(folder: pathlib.Path, **options: Any) -> BadDataError:
    """An execution that is stopped by its data."""
    with pytest.raises(BadDataError) as caught:
        run(folder / "run", **options)
    # No account: whatever reads one knows that the run may go on.
    assert not (folder / "run" / "account" / ACCOUNT_FILE).exists()
    return caught.value


def schema_of(columns: Columns) -> schema_pb2.Schema:
    """A schema that says just that."""
    schema = schema_pb2.Schema()
    declared = {TIME: columns.has_time, MISSING_BUCKET: columns.has_missing_bucket}
    for key in BOOKKEEPING:
        if declared.get(key, True):
            kind = "int" if key in (LENGTH, TIME) else "bytes"
            schema.feature.add(name=key, type=_TYPES[kind])
    shown = schema.tensor_representation_group[""].tensor_representation
    for feature in columns.features:
        added = schema.feature.add(name=feature.name, type=schema_pb2.FLOAT)
        added.float_domain.disallow_nan = not feature.allow_missing
    for category in columns.categories:
        schema.feature.add(name=category.name, type=_TYPES[category.kind])
    for name in (*columns.names, *(category.name for category in columns.categories)):
        shown[name].ragged_tensor.feature_path.step.append(name)
    for name, kind in columns.context.items():
        schema.feature.add(name=name, type=_TYPES[kind])
    return schema
