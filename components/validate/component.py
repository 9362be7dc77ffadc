"""The TFX component of the gate."""

import json
import pathlib

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies

from ragline.components.contract.artifacts import ACCOUNT_FILE, GATE_FILE, GateReport, IngestAccount
from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import read_json, write_json
from ragline.components.validate import drift, gate
from ragline.components.validate.options import DriftOptions

_ANOMALIES_FILE = "SchemaDiff.pb"


@component
def Gate(  # noqa: N802 (a TFX component is named as a class)
    anomalies: InputArtifact[ExampleAnomalies],
    account: InputArtifact[IngestAccount],
    report: OutputArtifact[GateReport],
    options: Parameter[str],
    source: Parameter[str],
) -> None:
    """Passes data in which ExampleValidator found nothing, and that drifted no further than it may.

    Args:
      anomalies: ExampleValidator's.
      account: ingest's, with the moments of each span.
      report: what was looked at.
      options: DriftOptions as JSON.
      source: our source, for the cache.

    Raises:
      BadDataError: `anomalies` or `drift`, with one line a finding.
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
    spans = read_json(pathlib.Path(account.uri) / ACCOUNT_FILE)["spans"]
    drifted = drift.measure(spans)
    if drifted and (lines := drift.findings(drifted, DriftOptions(**json.loads(options)))):
        raise BadDataError("drift", *lines)
    write_json(
        pathlib.Path(report.uri) / GATE_FILE,
        {"splits": sorted(found), "findings": [], "drift": drifted},
    )
