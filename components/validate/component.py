"""Define the TFX component of the gate."""

import json
import pathlib

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies

from ragline.components.contract.artifacts import GateReport, IngestAccount
from ragline.components.contract.errors import BadDataError
from ragline.components.contract.file_names import ACCOUNT_FILE, GATE_FILE
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
    """Stop data that has anomalies, or has drifted further than the options allow.

    Args:
      anomalies: ExampleValidator's anomalies.
      account: ingest's account, with the statistics of each span.
      report: the measured drift.
      options: DriftOptions as JSON.
      source: digest of ragline's source, for the cache.

    Raises:
      BadDataError: `anomalies` or `drift`, with one line for each.
    """
    del source  # Part of the cache key only.
    anomalies_of_splits = {
        split: anomalies_pb2.Anomalies.FromString(
            (pathlib.Path(anomalies.uri) / f"Split-{split}" / _ANOMALIES_FILE).read_bytes()
        )
        for split in artifact_utils.decode_split_names(anomalies.split_names)
    }
    if lines := gate.describe_anomalies(anomalies_of_splits):
        raise BadDataError("anomalies", *lines)
    spans = read_json(pathlib.Path(account.uri) / ACCOUNT_FILE)["spans"]
    drifted = drift.measure(spans)
    if drifted and (lines := drift.describe_drift(drifted, DriftOptions(**json.loads(options)))):
        raise BadDataError("drift", *lines)
    write_json(
        pathlib.Path(report.uri) / GATE_FILE,
        {"splits": sorted(anomalies_of_splits), "drift": drifted},
    )
