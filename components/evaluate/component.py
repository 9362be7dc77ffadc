"""The TFX component of the verdict; the metrics come from TFX's own Evaluator."""

import pathlib

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ModelBlessing, ModelEvaluation

from components.artifacts import VERDICT_FILE
from components.artifacts import Verdict as VerdictArtifact
from components.evaluate import results, verdict
from components.storage import write_json


@component
def Verdict(  # noqa: N802 (a TFX component is named as a class)
    evaluation: InputArtifact[ModelEvaluation],
    verdict_report: OutputArtifact[VerdictArtifact],
    blessing: OutputArtifact[ModelBlessing],
    source: Parameter[str],
) -> None:
    """Blesses the candidate, or not; a candidate that is not blessed is a sound result."""
    del source  # Part of the cache key only.
    table = results.load(evaluation.uri)
    judged = verdict.judge(table[results.OVERALL])
    write_json(
        pathlib.Path(verdict_report.uri) / VERDICT_FILE,
        {"blessed": judged.blessed, "reasons": list(judged.reasons), "metrics": table},
    )
    verdict_report.blessed = int(judged.blessed)
    blessing.set_int_custom_property("blessed", int(judged.blessed))
