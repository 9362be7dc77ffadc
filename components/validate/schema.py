"""Import the curated schema by TFX's ImportSchemaGen, from a path in the work directory."""

from typing import Any

from tfx.components.schema_gen.import_schema_gen import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs

from ragline.components.files import places

_FILE, _SCHEMA = standard_component_specs.SCHEMA_FILE_KEY, standard_component_specs.SCHEMA_KEY


class Executor(executor.Executor):
    """Resolves the path of the file, and leaves the rest to TFX."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copy the schema into the artifact."""
        artifact = artifact_utils.get_single_uri(output_dict[_SCHEMA])
        file = places.in_workdir_of(artifact, exec_properties[_FILE])
        super().Do(input_dict, output_dict, {**exec_properties, _FILE: file})


class ImportSchema(component.ImportSchemaGen):
    """Imports a schema that was written by hand, as an artifact."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
