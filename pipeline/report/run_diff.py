"""Compare two runs by what they kept, for `ragline diff`: options, data, metrics, versions."""

import pathlib
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from ragline.components.contract.errors import UsageError
from ragline.components.files.storage import read_json
from ragline.pipeline.report.find_run import find
from ragline.pipeline.runs.workdir import SUMMARY_FILE

_CONFIG_FILE = "config.toml"
# Of the summary, what the data are; the rest follows from them and from the options.
_DATA = ("input", "splits")
_COUNTS = ("sequences", "steps", "values", "finite_sequences")


def diff(before: str, after: str) -> dict[str, Any]:
    """Return what differs between two runs; each is what `find_run.find` takes.

    Returns:
      `runs`, the two folders; `options`, `data` and `versions`, key -> [before, after] of what
      differs; `metrics`, slice -> metric -> {before, after, difference} of all that both have, and
      `only`, slices that one alone has.

    Raises:
      UsageError: there is no such run, or it cannot be read.
    """
    folders = [find(source) for source in (before, after)]
    summaries = [_summary(folder) for folder in folders]
    options = [_flat(_options(folder)) for folder in folders]
    data = [_flat({key: summary.get(key) for key in _DATA}) for summary in summaries]
    slices = [summary.get("metrics") or {} for summary in summaries]
    return {
        "runs": [str(folder) for folder in folders],
        "status": [summary.get("status") for summary in summaries],
        "options": _changed(*options),
        "data": _changed(*data),
        "versions": _changed(*(summary.get("versions") or {} for summary in summaries)),
        "metrics": {
            name: metrics
            for name in slices[0]
            if name in slices[1] and (metrics := dict(_metrics(slices[0][name], slices[1][name])))
        },
        "only": {
            "before": [name for name in slices[0] if name not in slices[1]],
            "after": [name for name in slices[1] if name not in slices[0]],
        },
    }


def _summary(folder: pathlib.Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = read_json(folder / SUMMARY_FILE)
    except ValueError as error:
        raise UsageError(
            f"{folder / SUMMARY_FILE}: expected the summary of a run: {error}"
        ) from error
    return summary


def _options(folder: pathlib.Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder / _CONFIG_FILE}: expected the configuration that the run kept: {error}"
        ) from error


def _flat(tree: Any, above: str = "") -> dict[str, Any]:
    """Return tables as one: `{"a": {"b": 1}}` is `{"a.b": 1}`."""
    if not isinstance(tree, dict):
        return {above: tree}
    return {
        name: value
        for key, below in tree.items()
        for name, value in _flat(below, f"{above}.{key}" if above else key).items()
    }


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        key: [before.get(key), after.get(key)]
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    }


def _metrics(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, float]]]:
    for name, metric in before.items():
        values = [metric["value"], after.get(name, {}).get("value")]
        if name not in _COUNTS and None not in values:
            yield (
                name,
                {
                    "before": values[0],
                    "after": values[1],
                    "difference": values[1] - values[0],
                },
            )


def to_text(differences: Mapping[str, Any]) -> str:
    """Return what differs as text: what is equal is left out, but for the metrics."""
    lines = [
        f"before  {differences['runs'][0]}  ({differences['status'][0]})",
        f"after   {differences['runs'][1]}  ({differences['status'][1]})",
    ]
    for heading in ("options", "data", "versions"):
        changed = differences[heading]
        lines += ["", heading.capitalize() if changed else f"{heading.capitalize()}: the same"]
        lines += [f"  {key}: {_shown(old)} -> {_shown(new)}" for key, (old, new) in changed.items()]
    for name, metrics in differences["metrics"].items():
        lines += ["", f"Metrics, {name}"]
        wide = max(map(len, metrics))
        lines += [
            f"  {metric:<{wide}}  {values['before']:>9.4g} -> {values['after']:>9.4g}  "
            f"{values['difference']:>+10.2g}"
            for metric, values in metrics.items()
        ]
    for which, names in differences["only"].items():
        if names:
            lines += ["", f"Slices of the run {which} alone: {', '.join(names)}"]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return "unset" if value is None else repr(value) if isinstance(value, str) else str(value)
