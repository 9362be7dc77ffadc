"""What the ingest component runs: a thin adapter between TFX and the Beam transforms."""

import json
import os
import pathlib
import shutil
from typing import Any

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

import schemas
from components.artifacts import ACCOUNT_FILE
from components.ingest import account, formats
from components.ingest.options import InputOptions
from components.ingest.transforms import NAMESPACE, RECORDS_READ, REJECTED, IngestSequences
from components.sequence import SPLITS, Columns
from components.storage import write_json

_SHARD_PREFIX = "data_tfrecord"
_QUARANTINE_FILE = "rejected.jsonl"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs ingest as one Beam job, then reads back what it wrote."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Unpacks TFX's dictionaries once and calls `_ingest`."""
        [schema] = input_dict["schema"]
        [examples] = output_dict["examples"]
        [account_artifact] = output_dict["account"]
        [schema_file] = pathlib.Path(schema.uri).iterdir()
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        found = self._ingest(
            options=InputOptions(**json.loads(exec_properties["options"])),
            columns=Columns.from_schema(schemas.load(schema_file)),
            folders={
                split: pathlib.Path(artifact_utils.get_split_uri([examples], split))
                for split in SPLITS
            },
            quarantine=pathlib.Path(exec_properties["quarantine"])
            / self._context.pipeline_run_id
            / _QUARANTINE_FILE,
        )
        write_json(pathlib.Path(account_artifact.uri) / ACCOUNT_FILE, found)

    def _ingest(
        self,
        *,
        options: InputOptions,
        columns: Columns,
        folders: dict[str, pathlib.Path],
        quarantine: pathlib.Path,
    ) -> dict[str, Any]:
        patterns: dict[str | None, str] = {None: options.train}
        if options.eval is not None:
            patterns = dict(zip(SPLITS, (options.train, options.eval), strict=True))
        sources = formats.sources(patterns, options.format, columns)
        staged = pathlib.Path(self._get_tmp_dir()) / _QUARANTINE_FILE
        pipeline = self._make_beam_pipeline()
        outputs = (
            pipeline
            | "Sources" >> beam.Create(sources)
            | IngestSequences(columns=columns, eval_share=options.eval_share, split_names=SPLITS)
        )
        for split, folder in folders.items():
            # One shard: with more, an in-process run names them in a different order each time.
            outputs[split] | f"Write_{split}" >> beam.io.WriteToTFRecord(
                os.path.join(folder, _SHARD_PREFIX), file_name_suffix=".gz", num_shards=1
            )
        (
            outputs[REJECTED]
            | "ToJson" >> beam.Map(json.dumps).with_output_types(str)
            | "WriteRejected"
            >> beam.io.WriteToText(str(staged), num_shards=1, shard_name_template="")
        )
        result = pipeline.run()
        result.wait_until_finish()

        reasons, first = account.reasons_of(staged)
        if reasons:
            quarantine.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(staged, quarantine)
        splits = account.read_back(folders)
        read = _counter(result, RECORDS_READ)
        account.check(
            read=read,
            splits=splits,
            reasons=reasons,
            examples=first,
            max_quarantine_share=options.max_quarantine_share,
            quarantine=quarantine,
        )
        return {
            "read": read,
            "accepted": sum(split["sequences"] for split in splits.values()),
            "quarantined": sum(reasons.values()),
            "reasons": reasons,
            "splits": splits,
        }


def _counter(result: Any, name: str) -> int:
    query = beam.metrics.MetricsFilter().with_namespace(NAMESPACE).with_name(name)
    return sum(counter.committed for counter in result.metrics().query(query)["counters"])
