"""Run Transform for TFX: a thin adapter between its dictionaries and `run`.

TFX's own executor lets workers write the graph to a path that all of them must see.
"""

import functools
import pathlib
from typing import Any

from tfx.components.util import udf_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils

from ragline import schemas
from ragline.components.contract.columns import SPLITS
from ragline.components.files import staging
from ragline.components.transform.run import run


class Executor(base_beam_executor.BaseBeamExecutor):
    """Unpacks TFX's dictionaries for `run`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Transform every split by what the training split says."""
        [examples] = input_dict["examples"]
        [schema] = input_dict["schema"]
        [schema_file] = pathlib.Path(schema.uri).iterdir()
        [graph] = output_dict["transform_graph"]
        [transformed] = output_dict["transformed_examples"]
        transformed.split_names = artifact_utils.encode_split_names(list(SPLITS))
        run(
            self._make_beam_pipeline(),
            schema=schemas.load(schema_file),
            preprocessing_fn=functools.partial(
                udf_utils.get_fn(exec_properties, "preprocessing_fn"),
                custom_config=json_utils.loads(exec_properties["custom_config"]),
            ),
            inputs={split: artifact_utils.get_split_uri([examples], split) for split in SPLITS},
            outputs={split: artifact_utils.get_split_uri([transformed], split) for split in SPLITS},
            graph=graph.uri,
            staging=staging.of("transform", exec_properties, self._context, self._get_tmp_dir()),
        )
