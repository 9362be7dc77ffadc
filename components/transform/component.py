"""Define the component of Transform: TFX's own, whose executor is ours."""

from tfx.components.transform import component
from tfx.dsl.components.base import executor_spec

from ragline.components.transform import executor


class Transform(component.Transform):
    """Standardises raw records, and keeps the graph that does."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
