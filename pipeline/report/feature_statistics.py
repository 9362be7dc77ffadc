"""Read StatisticsGen's statistics of each feature of the training split, for the report."""

import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2

_FILE = "FeatureStats.pb"


def read(folder: pathlib.Path) -> list[dict[str, Any]] | None:
    """Read the statistics of one split's numeric features; None if there is no file.

    Args:
      folder: folder of the split, in the artifact of StatisticsGen.
    """
    file = folder / _FILE
    if not file.is_file():
        return None
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    return list(describe_features(statistics))


def describe_features(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> Iterator[dict[str, Any]]:
    """Describe each numeric feature; TFDV leaves missing values (NaN) out.

    Yields:
      `name`, `mean`, `std_dev`, `median`, `zeros`, the share of values that are 0, and `histogram`,
      the number of values in each of some ranges of equal width.
    """
    for feature in (feature for dataset in statistics.datasets for feature in dataset.features):
        if feature.HasField("num_stats"):
            num_stats = feature.num_stats
            values = num_stats.common_stats.tot_num_values
            yield {
                "name": feature.path.step[0] if feature.path.step else feature.name,
                "mean": _finite(num_stats.mean),
                "std_dev": _finite(num_stats.std_dev),
                "median": _finite(num_stats.median),
                "zeros": num_stats.num_zeros / values if values else None,
                "histogram": _histogram(num_stats),
            }


def merge_ranges(
    ranges: Mapping[str, Mapping[str, Any]], statistics: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    """Merge each feature's range and missing share over both splits with the statistics of train.

    Args:
      ranges: `features` of ingest's account.
      statistics: see `describe_features`; None where StatisticsGen was not reached.
    """
    by_name = {feature["name"]: feature for feature in statistics or []}
    rows = []
    for name, value_range in ranges.items():
        steps = value_range["missing"] + value_range["values"]
        described = {key: value for key, value in by_name.get(name, {}).items() if key != "name"}
        rows.append(
            {
                "name": name,
                "missing": value_range["missing"] / steps if steps else None,
                "min": value_range["min"],
                "max": value_range["max"],
                "constant": value_range["min"] == value_range["max"],
                **dict.fromkeys(("mean", "std_dev", "median", "zeros", "histogram")),
                **described,
            }
        )
    return rows


def _histogram(num_stats: statistics_pb2.NumericStatistics) -> list[int] | None:
    standard = statistics_pb2.Histogram.STANDARD
    for histogram in num_stats.histograms:
        if histogram.type == standard and histogram.buckets:
            return [round(bucket.sample_count) for bucket in histogram.buckets]
    return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
