"""A plan as plain data, and as a person reads it in a terminal."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import SPLITS, length_bucket
from ragline.components.ingest.preview.preview_result import Preview
from ragline.components.train.data import batching
from ragline.pipeline.onboard.plan import MOST_WORDS, Plan

_WIDTH = 40


def to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, for `--json`."""
    found, outlook = plan.found, plan.outlook
    return {
        "input": {
            "files": found.files,
            "bytes": found.bytes,
            "formats": found.formats,
            "spans": list(found.spans),
            "missing_spans": list(found.missing_spans),
            "sampled": found.share,
        },
        "records": {
            "read": found.read,
            "accepted": found.accepted,
            "quarantined": sum(found.reasons.values()),
            "reasons": found.reasons,
            "first": [
                {"file": one.file, "line": one.line, "code": one.code, "detail": one.detail}
                for one in found.bad
            ],
        },
        "policies": found.policies,
        "sequences": {name: int((found.split == name).sum()) for name in SPLITS},
        "entities": found.entities,
        "lengths": quantiles(found.lengths),
        "length_buckets": histogram(found.lengths),
        "features": [
            {
                "name": column.name,
                "unit": column.unit,
                "missing": column.missing / column.steps if column.steps else None,
                "min": column.low,
                "mean": column.mean,
                "max": column.high,
                "constant": column.is_constant,
            }
            for column in found.columns
        ],
        "categories": {name: _words(words) for name, words in found.categories.items()},
        "context": {name: _words(words) for name, words in found.context.items()},
        "training": outlook
        and {
            "sequences": outlook.sequences,
            "steps": outlook.steps,
            "batches": dataclasses.asdict(outlook.batches),
            "padding_waste": outlook.waste,
            "updates_an_epoch": outlook.updates,
            "epochs": outlook.epochs,
            "parameters": outlook.parameters,
            "seconds": outlook.seconds,
            "bytes": outlook.bytes,
        },
        "encoded": found.encoded,
        "stops": list(plan.stops),
        "notes": list(plan.notes),
    }


def quantiles(lengths: np.ndarray) -> dict[str, int]:
    """The least, the median, the 90th percentile and the most of lengths; empty without any."""
    if not len(lengths):
        return {}
    names = {"min": 0.0, "median": 0.5, "p90": 0.9, "max": 1.0}
    return {name: int(np.quantile(lengths, share, method="lower")) for name, share in names.items()}


def histogram(lengths: np.ndarray) -> dict[str, int]:
    """Bucket, such as `8-15`, -> how many lengths fall in it; none is left out between two."""
    if not len(lengths):
        return {}
    low, high = int(lengths.min()).bit_length(), int(lengths.max()).bit_length()
    names = [length_bucket(1 << power) for power in range(low - 1, high)]
    powers = np.array([int(length).bit_length() for length in np.unique(lengths)])
    _, times = np.unique(lengths, return_counts=True)
    counted = np.bincount(powers - low, weights=times, minlength=len(names))
    return dict(zip(names, counted.astype(int).tolist(), strict=True))


def _words(counted: Mapping[Any, int]) -> dict[str, int]:
    ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
    return {"(none)" if word is None or word == "" else str(word): n for word, n in ordered[:100]}


def to_text(plan: Plan) -> str:
    """The plan as a person reads it in a terminal."""
    found = plan.found
    blocks = [_of_input(found), _of_lengths(found), _of_features(found), _of_words(found)]
    blocks += [_of_training(plan), _of_record(found), _of_bad(found)]
    for heading, sentences in (("Notes", plan.notes), ("Would stop the run", plan.stops)):
        if sentences:
            blocks.append([heading, *(f"  {sentence}" for sentence in sentences)])
    if not plan.stops:
        blocks.append(["Nothing found that would stop a run."])
    return printable("\n\n".join("\n".join(block) for block in blocks if block))


def printable(text: str) -> str:
    """Text without what would steer a terminal: ids and labels come from anybody's files."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _of_input(found: Preview) -> list[str]:
    formats = ", ".join(f"{number} as {name}" for name, number in found.formats.items())
    lines = [f"Input     {_plural(found.files, 'file')}, {size(found.bytes)}, read {formats}"]
    if found.spans:
        lines.append(f"          spans {', '.join(found.spans)}")
    if found.missing_spans:
        lines.append(f"          the window has no data of {', '.join(found.missing_spans)}")
    if found.share < 1.0:
        lines.append(f"          a sample of {found.share:.1%} was read")
    lines.append(
        f"Records   {found.read:,} read, {found.accepted:,} accepted, "
        f"{sum(found.reasons.values()):,} rejected"
    )
    counts = ", ".join(
        f"{int((found.split == name).sum()):,} {name} "
        f"of {_plural(found.entities.get(name, 0), 'entity', 'entities')}"
        for name in SPLITS
    )
    lines.append(f"Sequences {len(found.lengths):,}: {counts}")
    lines += [
        f"          {name.replace('_', ' ')}: {number:,}" for name, number in found.policies.items()
    ]
    return lines


def _of_lengths(found: Preview) -> list[str]:
    lengths = quantiles(found.lengths)
    if not lengths:
        return []
    summed = ", ".join(f"{name} {value:,}" for name, value in lengths.items())
    counted = histogram(found.lengths)
    most = max(counted.values())
    wide = max(map(len, counted))
    bars = [
        f"  {name:>{wide}}  {'█' * math.ceil(_WIDTH * number / most):<{_WIDTH}} {number:,}"
        for name, number in counted.items()
    ]
    return [f"Lengths   {summed}", *bars]


def _of_features(found: Preview) -> list[str]:
    wide = max(len(column.name) for column in found.columns)
    lines = [f"Features  {'missing':>{wide + 2}}  {'min':>11} {'mean':>11} {'max':>11}"]
    for column in found.columns:
        share = column.missing / column.steps if column.steps else 0.0
        values = " ".join(
            f"{'-' if value is None else format(value, '.5g'):>11}"
            for value in (column.low, column.mean, column.high)
        )
        unit = f"  {column.unit}" if column.unit else ""
        constant = "  constant" if column.is_constant else ""
        lines.append(f"  {column.name:<{wide}} {share:>8.1%}  {values}{unit}{constant}")
    return lines


def _of_words(found: Preview) -> list[str]:
    lines = []
    for kind, columns in (("Context", found.context), ("Words", found.categories)):
        for name, counted in columns.items():
            words = _words(counted)
            shown = ", ".join(f"{word} {n:,}" for word, n in [*words.items()][:MOST_WORDS])
            more = f", {len(counted) - MOST_WORDS:,} more" if len(counted) > MOST_WORDS else ""
            lines.append(f"{kind:<9} {name}: {shown}{more}")
    return lines


def _of_training(plan: Plan) -> list[str]:
    outlook = plan.outlook
    if outlook is None:
        return []
    about = "about " if plan.found.share < 1.0 else ""
    return [
        f"Training  {about}{outlook.sequences[SPLITS[0]]:,} sequences to train on, "
        f"{outlook.sequences[SPLITS[1]]:,} to evaluate by; {outlook.steps:,} steps",
        f"          {_batches(outlook.batches)}, {outlook.waste:.1%} of a batch is padding, "
        f"{about}{_plural(outlook.updates, 'update')} an epoch, at most "
        f"{_plural(outlook.epochs, 'epoch')}",
        f"          {outlook.parameters:,} parameters; roughly {duration(outlook.seconds)} for all "
        f"epochs on two cores, {size(outlook.bytes)} of memory",
    ]


def _batches(batches: batching.BatchPlan) -> str:
    if batches.steps is not None:
        return f"batches of {batches.steps:,} steps, by length"
    return f"batches of {_plural(batches.sequences or 1, 'sequence')}"


def _of_record(found: Preview) -> list[str]:
    if found.encoded is None:
        return []
    lines = [f"A record as it will be encoded, {found.encoded['bytes']:,} bytes"]
    wide = max(map(len, found.encoded["columns"]))
    for name, column in found.encoded["columns"].items():
        values = ", ".join(
            format(value, ".6g") if isinstance(value, float) else repr(value)
            for value in column["values"]
        )
        more = ", ..." if column["number"] > len(column["values"]) else ""
        lines.append(f"  {name:<{wide}}  {column['kind']:<5} [{column['number']}]  {values}{more}")
    return lines


def _of_bad(found: Preview) -> list[str]:
    if not found.bad:
        return []
    reasons = ", ".join(f"{number:,} {code}" for code, number in found.reasons.items())
    return [
        f"Rejected  {reasons}; the first ones",
        *(f"  {one.file}, line {one.line}: {one.code}: {one.detail}" for one in found.bad),
    ]


def _plural(number: int, one: str, several: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def size(number: float) -> str:
    """Bytes as a person reads them: 812 B, 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 40 s, 3 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
