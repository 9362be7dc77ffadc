"""Define the TFX component of ingest: raw files and a schema in; Examples and the report out."""

from typing import ClassVar

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from ragline.components.contract.artifacts import IngestAccount
from ragline.components.ingest import executor


class IngestSpec(ComponentSpec):
    """States the inputs, outputs and parameters of the component of ingest."""

    INPUTS: ClassVar = {"schema": ChannelParameter(type=standard_artifacts.Schema)}
    OUTPUTS: ClassVar = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "account": ChannelParameter(type=IngestAccount),
    }
    PARAMETERS: ClassVar = {
        "options": ExecutionParameter(type=str),
        "quarantine": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }


class Ingest(base_beam_component.BaseBeamComponent):
    """Reads raw files into gzipped TFRecords of the raw record contract."""

    SPEC_CLASS = IngestSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self, *, schema: BaseChannel, options: str, quarantine: str, fingerprint: str
    ) -> None:
        """Give the component its schema, its options and its outputs.

        Args:
          schema: the schema of the raw records.
          options: `{input: InputOptions, quarantine: QuarantineOptions}` as JSON.
          quarantine: the folder that gets one folder of rejected records a run; relative, it is
            below the work directory, as of every stage.
          fingerprint: digest of the input files, which are held against it, and of our source, so
            that the cache sees both.
        """
        super().__init__(
            IngestSpec(
                schema=schema,
                options=options,
                quarantine=quarantine,
                fingerprint=fingerprint,
                examples=channel_utils.as_channel([standard_artifacts.Examples()]),
                account=channel_utils.as_channel([IngestAccount()]),
            )
        )
