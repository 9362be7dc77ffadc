"""Run the Evaluator for TFX: a thin adapter between its dictionaries and TFMA.

TFX's own executor lets workers load the model from a path, and write the metrics to one, that all
of them must see. With `records` in a store, the model's archive and the metrics pass through it.
"""

import contextlib
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import ModelLoader
from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils, proto_utils
from tfx_bsl.public.tfxio import TFExampleRecord

from ragline import schemas
from ragline.components.contract.columns import SPLITS
from ragline.components.evaluate.metrics import tfma_extractors
from ragline.components.files import places, staging
from ragline.components.files.storage import write_bytes
from ragline.components.runtime import by_value

_ARCHIVE = "encoder.zip"
_TAGS = [tf.saved_model.SERVING]


class Executor(base_beam_executor.BaseBeamExecutor):
    """Unpacks TFX's dictionaries for TFMA."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluate the model on the eval split."""
        [evaluation] = output_dict["evaluation"]
        [schema] = input_dict["schema"]
        [schema_file] = pathlib.Path(schema.uri).iterdir()
        model = path_utils.serving_model_path(input_dict["model"][0].uri)
        config = config_pb2.EvalConfig()
        proto_utils.json_to_proto(exec_properties["eval_config"], config)
        source = TFExampleRecord(
            f"{artifact_utils.get_split_uri(input_dict['examples'], SPLITS[1])}/*",
            schema=schemas.load(schema_file),
            raw_record_column_name=constants.ARROW_INPUT_COLUMN,
            telemetry_descriptors=["ragline"],
        )
        staged = staging.of("evaluate", exec_properties, self._context, self._get_tmp_dir())
        with (
            _shared(model, staged) as place,
            staging.written(evaluation.uri, f"{staged}/metrics") as output,
            self._make_beam_pipeline() as pipeline,
        ):
            shared = tfma.default_eval_shared_model(
                model,
                eval_config=config,
                custom_model_loader=ModelLoader(functools.partial(load, place), _TAGS),
            )
            _ = (
                pipeline
                | "Read" >> source.BeamSource()
                | "Evaluate"
                >> tfma.ExtractEvaluateAndWriteResults(
                    eval_shared_model=shared,
                    eval_config=config,
                    extractors=tfma_extractors.extractors(shared, config),
                    output_path=output,
                )
            )


@contextlib.contextmanager
def _shared(model: str, staged: str) -> Iterator[str]:
    """Yield where workers load the model: from its folder, or from its archive in a store."""
    if places.is_local(staged):
        yield model
        return
    archive = f"{staged}/{_ARCHIVE}"
    write_bytes(archive, by_value.pack(model))
    yield archive
    places.remove(archive)


def load(place: str) -> Any:
    """Load a SavedModel from its folder, or from its archive in a store."""
    folder = place if places.is_local(place) else by_value.unpack(places.read(place))
    return tf.saved_model.load(folder, tags=_TAGS)
