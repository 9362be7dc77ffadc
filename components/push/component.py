"""Define the TFX component of the push."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from ragline.components.contract.artifacts import IngestAccount, PushReport, VerdictReport
from ragline.components.push import executor


class PushSpec(ComponentSpec):
    """States the inputs, outputs and parameters of the component of the push."""

    INPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "verdict": ChannelParameter(type=VerdictReport),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "account": ChannelParameter(type=IngestAccount),
    }
    OUTPUTS: ClassVar = {"report": ChannelParameter(type=PushReport)}
    PARAMETERS: ClassVar = {
        "serving": ExecutionParameter(type=str),
        "keep": ExecutionParameter(type=int),
        "state": ExecutionParameter(type=str),
        "source": ExecutionParameter(type=str),
    }


class Push(base_component.BaseComponent):
    """Pushes a blessed encoder that keeps the padding contract; otherwise says why not."""

    SPEC_CLASS = PushSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        blessing: BaseChannel,
        verdict: BaseChannel,
        examples: BaseChannel,
        account: BaseChannel,
        serving: str,
        keep: int,
        state: str,
        source: str,
    ) -> None:
        """Give the component its inputs, its options and its report.

        Args:
          model: the candidate.
          blessing: the artifact that says whether it is blessed.
          verdict: the verdict report, which says why.
          examples: the raw records; it is checked on those of the eval split.
          account: the ingest report, for the facts beside the encoder.
          serving: the folder that is served, from the work directory.
          keep: the number of versions that stay there.
          state: the digest of folder and ledger, so that the cache sees when either changed.
          source: the digest of our source, for the cache as well.
        """
        super().__init__(
            PushSpec(
                model=model,
                blessing=blessing,
                verdict=verdict,
                examples=examples,
                account=account,
                serving=serving,
                keep=keep,
                state=state,
                source=source,
                report=channel_utils.as_channel([PushReport()]),
            )
        )
