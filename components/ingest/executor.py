"""Run ingest for TFX: a thin adapter between its dictionaries and `run`."""

import json
import pathlib
from typing import Any

from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.file_names import ACCOUNT_FILE, SOURCES_FILE
from ragline.components.files import places, staging
from ragline.components.files.storage import write_json
from ragline.components.ingest.options import InputOptions, QuarantineOptions, StepOptions
from ragline.components.ingest.run import run
from ragline.components.ingest.source import read_plan

_QUARANTINE_FILE = "rejected.jsonl"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Unpacks TFX's dictionaries for `run`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Ingest; write the ingest report to account.json, and each sequence's source beside it."""
        [schema] = input_dict["schema"]
        [examples] = output_dict["examples"]
        [report_artifact] = output_dict["account"]
        [schema_file] = pathlib.Path(schema.uri).iterdir()
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        options = json.loads(exec_properties["options"])
        reading = _input_options(options["input"])
        fingerprint, *_ = exec_properties["fingerprint"].split(" ")
        watched = read_plan.watch(reading, fingerprint)
        report = run(
            self._make_beam_pipeline(),
            options=reading,
            quarantine_options=QuarantineOptions(**options["quarantine"]),
            columns=Columns.from_schema(schemas.load(schema_file)),
            folders={split: artifact_utils.get_split_uri([examples], split) for split in SPLITS},
            quarantine="/".join(
                [
                    places.in_workdir_of(report_artifact.uri, exec_properties["quarantine"]),
                    self._context.pipeline_run_id,
                    _QUARANTINE_FILE,
                ]
            ),
            source_file=f"{report_artifact.uri}/{SOURCES_FILE}",
            staging=staging.of("ingest", exec_properties, self._context, self._get_tmp_dir()),
        )
        watched.check(report["formats"])
        write_json(f"{report_artifact.uri}/{ACCOUNT_FILE}", report)


def _input_options(plain: dict[str, Any]) -> InputOptions:
    """Build the options from JSON, which has no tuples."""
    lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
    steps = StepOptions(**plain.get("steps", {}))
    return InputOptions(**(plain | lists | {"steps": steps}))
