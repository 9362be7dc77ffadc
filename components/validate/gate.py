"""Anomalies -> what a person reads, one line a finding."""

from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import anomalies_pb2


def findings(anomalies: Mapping[str, anomalies_pb2.Anomalies]) -> list[str]:
    """One line for each anomaly that TFDV found: split, feature, what is wrong.

    Every anomaly counts, whatever its severity: a schema that a person curated either holds or it
    does not, and what should pass belongs into the schema.

    Args:
      anomalies: split -> what ExampleValidator wrote for it.
    """
    lines = []
    for split, found in sorted(anomalies.items()):
        if found.HasField("dataset_anomaly_info"):
            info = found.dataset_anomaly_info
            lines.append(f"{split}: {info.short_description}: {info.description}")
        for name, info in sorted(found.anomaly_info.items()):
            lines.append(f"{split}: feature {name!r}: {_sentence(info)}")
        if found.data_missing:
            lines.append(f"{split}: no data")
    return lines


def _sentence(info: anomalies_pb2.AnomalyInfo) -> str:
    reasons = [f"{r.short_description}: {r.description}" for r in info.reason]
    return "; ".join(reasons) or f"{info.short_description}: {info.description}"
