"""What StatisticsGen says of each feature of the training split, as plain data for the report."""

import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2

_FILE = "FeatureStats.pb"


def read(folder: pathlib.Path) -> list[dict[str, Any]] | None:
    """The numeric features of one split's statistics, as `of` says; None if they are not there.

    Args:
      folder: of the split, in the artifact of StatisticsGen.
    """
    file = folder / _FILE
    if not file.is_file():
        return None
    found = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    return list(of(found))


def of(found: statistics_pb2.DatasetFeatureStatisticsList) -> Iterator[dict[str, Any]]:
    """Of each feature of numbers: its name, mean, standard deviation, median and share of zeros.

    TFDV leaves what is missing (NaN) out of all of these.
    """
    for feature in (feature for dataset in found.datasets for feature in dataset.features):
        if feature.HasField("num_stats"):
            numbers = feature.num_stats
            values = numbers.common_stats.tot_num_values
            yield {
                "name": feature.path.step[0] if feature.path.step else feature.name,
                "mean": _finite(numbers.mean),
                "std_dev": _finite(numbers.std_dev),
                "median": _finite(numbers.median),
                "zeros": numbers.num_zeros / values if values else None,
            }


def joined(
    ranges: Mapping[str, Mapping[str, Any]], found: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    """Each feature's range and missing share over both splits, and what `of` says of train.

    Args:
      ranges: `features` of ingest's account.
      found: of the training split; None where StatisticsGen was not reached.
    """
    beside = {each["name"]: each for each in found or []}
    rows = []
    for name, own in ranges.items():
        steps = own["missing"] + own["values"]
        more = {key: value for key, value in beside.get(name, {}).items() if key != "name"}
        rows.append(
            {
                "name": name,
                "missing": own["missing"] / steps if steps else None,
                "min": own["min"],
                "max": own["max"],
                "constant": own["min"] == own["max"],
                **dict.fromkeys(("mean", "std_dev", "median", "zeros")),
                **more,
            }
        )
    return rows


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
