"""What the ingest component runs: a thin adapter between TFX and the Beam transforms."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

import schemas
from components.artifacts import ACCOUNT_FILE
from components.ingest import account, plan, process, spill, units
from components.ingest.options import InputOptions, QuarantineOptions, StepOptions
from components.ingest.process import Job
from components.ingest.transforms import IngestSequences
from components.sequence import SPLITS, Columns
from components.storage import write_json

_QUARANTINE_FILE = "rejected.jsonl"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs ingest as one Beam job, then adds up what it wrote."""

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
        options = json.loads(exec_properties["options"])
        found = self._ingest(
            options=_input_options(options["input"]),
            quarantine_options=QuarantineOptions(**options["quarantine"]),
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
        quarantine_options: QuarantineOptions,
        columns: Columns,
        folders: Mapping[str, pathlib.Path],
        quarantine: pathlib.Path,
    ) -> dict[str, Any]:
        staging = pathlib.Path(self._get_tmp_dir()) / "staging"
        for folder in (staging, *folders.values()):
            folder.mkdir(parents=True, exist_ok=True)
        job = Job(
            columns=columns, options=options, files=(), folders=dict(folders), staging=staging
        )
        planned = plan.make(options, job.raw_columns, units.UNIT_BYTES)
        job = dataclasses.replace(job, files=planned.files)
        grouped = bool(options.group_by)
        shards = spill.shard_count(planned.units, units.UNIT_BYTES) if grouped else None
        pipeline = self._make_beam_pipeline()
        (
            pipeline
            | "Units" >> beam.Create([(unit.index, unit) for unit in planned.units])
            | IngestSequences(job, shards)
        )
        pipeline.run().wait_until_finish()

        reports = account.reports(staging, planned.units, grouped=grouped)
        parts = [process.quarantine_file(staging, report["unit"]) for report in reports]
        found = account.settle(reports, account.gather_quarantine(parts, quarantine), columns)
        account.check(
            found,
            reports,
            options=options,
            max_share=quarantine_options.max_share,
            quarantine=quarantine,
        )
        shutil.rmtree(staging)
        return found | {"formats": planned.formats, "spans": list(planned.spans)}


def _input_options(plain: dict[str, Any]) -> InputOptions:
    """Options out of JSON, which has no tuples."""
    lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
    steps = StepOptions(**plain.get("steps", {}))
    return InputOptions(**(plain | lists | {"steps": steps}))
