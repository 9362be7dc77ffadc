"""The TFX component of the gate."""

import pathlib

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies

from components.artifacts import GATE_FILE, GateReport
from components.errors import BadDataError
from components.storage import write_json
from components.validate import gate

_ANOMALIES_FILE = "SchemaDiff.pb"


@component
def Gate(  # noqa: N802 (a TFX component is named as a class)
    anomalies: InputArtifact[ExampleAnomalies],
    report: OutputArtifact[GateReport],
    source: Parameter[str],
) -> None:
    """Passes data in which ExampleValidator found nothing; stops the run otherwise.

    Raises:
      BadDataError: `anomalies`, with one line a finding.
    """
    del source  # Part of the cache key only.
    found = {
        split: anomalies_pb2.Anomalies.FromString(
            (pathlib.Path(anomalies.uri) / f"Split-{split}" / _ANOMALIES_FILE).read_bytes()
        )
        for split in artifact_utils.decode_split_names(anomalies.split_names)
    }
    if lines := gate.findings(found):
        raise BadDataError("anomalies", *lines)
    write_json(pathlib.Path(report.uri) / GATE_FILE, {"splits": sorted(found), "findings": []})
