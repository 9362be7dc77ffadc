"""Describe anomalies in sentences, one line each."""

from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import anomalies_pb2


def describe_anomalies(anomalies: Mapping[str, anomalies_pb2.Anomalies]) -> list[str]:
    """Write one line for each of TFDV's anomalies: split, feature, what is wrong.

    Every anomaly counts, of any severity: a schema that a person curated either holds or it does
    not, and data that should pass belongs into the schema.

    Args:
      anomalies: split -> ExampleValidator's output for it.
    """
    lines = []
    for split, split_anomalies in sorted(anomalies.items()):
        if split_anomalies.HasField("dataset_anomaly_info"):
            info = split_anomalies.dataset_anomaly_info
            lines.append(f"{split}: {info.short_description}: {info.description}")
        for name, info in sorted(split_anomalies.anomaly_info.items()):
            lines.append(f"{split}: feature {name!r}: {_sentence(info)}")
        if split_anomalies.data_missing:
            lines.append(f"{split}: no data")
    return lines


def _sentence(info: anomalies_pb2.AnomalyInfo) -> str:
    reasons = [f"{r.short_description}: {r.description}" for r in info.reason]
    return "; ".join(reasons) or f"{info.short_description}: {info.description}"
