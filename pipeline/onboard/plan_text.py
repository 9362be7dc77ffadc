"""Write a plan as plain data, and as text for a terminal."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import SPLITS, length_bucket
from ragline.components.contract.feature_transforms import NONE
from ragline.components.ingest.preview.preview_result import Preview
from ragline.components.train.data import batching
from ragline.pipeline.onboard.plan import MOST_WORDS, Plan

_WIDTH = 40


def to_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data, for `--json`."""
    preview, training = plan.preview, plan.training
    return {
        "input": {
            "files": preview.files,
            "bytes": preview.bytes,
            "formats": preview.formats,
            "spans": list(preview.spans),
            "missing_spans": list(preview.missing_spans),
            "sampled": preview.share,
        },
        "records": {
            "read": preview.read,
            "accepted": preview.accepted,
            "quarantined": sum(preview.reasons.values()),
            "reasons": preview.reasons,
            "first": [
                {"file": bad.file, "line": bad.line, "code": bad.code, "detail": bad.detail}
                for bad in preview.bad
            ],
        },
        "policies": preview.policies,
        "sequences": {name: int((preview.split == name).sum()) for name in SPLITS},
        "entities": preview.entities,
        "lengths": quantiles(preview.lengths),
        "length_buckets": histogram(preview.lengths),
        "features": [
            {
                "name": column.name,
                "unit": column.unit,
                "transform": column.transform,
                "missing": column.missing / column.steps if column.steps else None,
                "min": column.low,
                "mean": column.mean,
                "max": column.high,
                "constant": column.is_constant,
            }
            for column in preview.columns
        ],
        "categories": {name: _words(words) for name, words in preview.categories.items()},
        "context": {name: _words(words) for name, words in preview.context.items()},
        "training": training
        and {
            "sequences": training.sequences,
            "steps": training.steps,
            "of_steps": training.of_steps,
            "batches": dataclasses.asdict(training.batches),
            "padding_waste": training.waste,
            "updates_an_epoch": training.updates,
            "epochs": training.epochs,
            "parameters": training.parameters,
            "seconds": training.seconds,
            "bytes": training.bytes,
        },
        "encoded": preview.encoded,
        "stops": list(plan.stops),
        "notes": list(plan.notes),
    }


def quantiles(lengths: np.ndarray) -> dict[str, int]:
    """Return minimum, median, 90th percentile and maximum of lengths; empty without any."""
    if not len(lengths):
        return {}
    names = {"min": 0.0, "median": 0.5, "p90": 0.9, "max": 1.0}
    return {name: int(np.quantile(lengths, share, method="lower")) for name, share in names.items()}


def histogram(lengths: np.ndarray) -> dict[str, int]:
    """Return bucket, such as `8-15`, -> number of lengths in it; empty ones in between are kept."""
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
    """Return the plan as text for a terminal."""
    preview = plan.preview
    blocks = [_of_input(preview), _of_lengths(preview), _of_features(preview), _of_words(preview)]
    blocks += [_of_training(plan), _of_record(preview), _of_bad(preview)]
    for heading, sentences in (("Notes", plan.notes), ("Would stop the run", plan.stops)):
        if sentences:
            blocks.append([heading, *(f"  {sentence}" for sentence in sentences)])
    if not plan.stops:
        blocks.append(["Nothing found that would stop a run."])
    return printable("\n\n".join("\n".join(block) for block in blocks if block))


def printable(text: str) -> str:
    """Escape control characters: ids and labels come from anybody's files."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _of_input(preview: Preview) -> list[str]:
    formats = ", ".join(f"{number} as {name}" for name, number in preview.formats.items())
    lines = [f"Input     {_plural(preview.files, 'file')}, {size(preview.bytes)}, read {formats}"]
    if preview.spans:
        lines.append(f"          spans {', '.join(preview.spans)}")
    if preview.missing_spans:
        lines.append(f"          the window has no data of {', '.join(preview.missing_spans)}")
    if preview.share < 1.0:
        lines.append(f"          a sample of {preview.share:.1%} was read")
    lines.append(
        f"Records   {preview.read:,} read, {preview.accepted:,} accepted, "
        f"{sum(preview.reasons.values()):,} rejected"
    )
    counts = ", ".join(
        f"{int((preview.split == name).sum()):,} {name} "
        f"of {_plural(preview.entities.get(name, 0), 'entity', 'entities')}"
        for name in SPLITS
    )
    lines.append(f"Sequences {len(preview.lengths):,}: {counts}")
    lines += [
        f"          {name.replace('_', ' ')}: {number:,}"
        for name, number in preview.policies.items()
    ]
    return lines


def _of_lengths(preview: Preview) -> list[str]:
    lengths = quantiles(preview.lengths)
    if not lengths:
        return []
    summed = ", ".join(f"{name} {value:,}" for name, value in lengths.items())
    counted = histogram(preview.lengths)
    most = max(counted.values())
    wide = max(map(len, counted))
    bars = [
        f"  {name:>{wide}}  {'█' * math.ceil(_WIDTH * number / most):<{_WIDTH}} {number:,}"
        for name, number in counted.items()
    ]
    return [f"Lengths   {summed}", *bars]


def _of_features(preview: Preview) -> list[str]:
    wide = max(len(column.name) for column in preview.columns)
    lines = [f"Features  {'missing':>{wide + 2}}  {'min':>11} {'mean':>11} {'max':>11}"]
    for column in preview.columns:
        share = column.missing / column.steps if column.steps else 0.0
        values = " ".join(
            f"{'-' if value is None else format(value, '.5g'):>11}"
            for value in (column.low, column.mean, column.high)
        )
        unit = f"  {column.unit}" if column.unit else ""
        unit += f"  {column.transform}" if column.transform != NONE else ""
        constant = "  constant" if column.is_constant else ""
        lines.append(f"  {column.name:<{wide}} {share:>8.1%}  {values}{unit}{constant}")
    return lines


def _of_words(preview: Preview) -> list[str]:
    lines = []
    for kind, columns in (("Context", preview.context), ("Words", preview.categories)):
        for name, counted in columns.items():
            words = _words(counted)
            shown = ", ".join(f"{word} {n:,}" for word, n in [*words.items()][:MOST_WORDS])
            more = f", {len(counted) - MOST_WORDS:,} more" if len(counted) > MOST_WORDS else ""
            lines.append(f"{kind:<9} {name}: {shown}{more}")
    return lines


def _of_training(plan: Plan) -> list[str]:
    training = plan.training
    if training is None:
        return []
    is_sample = training.steps < training.of_steps
    about = "about " if is_sample or plan.preview.share < 1.0 else ""
    sampled = f", a sample of {training.of_steps:,}" if is_sample else ""
    return [
        f"Training  {about}{training.sequences[SPLITS[0]]:,} sequences to train on, "
        f"{training.sequences[SPLITS[1]]:,} to evaluate by; {training.steps:,} steps{sampled}",
        f"          {_batches(training.batches)}, {training.waste:.1%} of a batch is padding, "
        f"{about}{_plural(training.updates, 'update')} an epoch, at most "
        f"{_plural(training.epochs, 'epoch')}",
        f"          {training.parameters:,} parameters; roughly {duration(training.seconds)} for "
        f"all epochs on two cores, {size(training.bytes)} of memory",
    ]


def _batches(batches: batching.BatchPlan) -> str:
    if batches.steps is not None:
        return f"batches of {batches.steps:,} steps, by length"
    return f"batches of {_plural(batches.sequences or 1, 'sequence')}"


def _of_record(preview: Preview) -> list[str]:
    if preview.encoded is None:
        return []
    lines = [f"A record as it will be encoded, {preview.encoded['bytes']:,} bytes"]
    wide = max(map(len, preview.encoded["columns"]))
    for name, column in preview.encoded["columns"].items():
        values = ", ".join(
            format(value, ".6g") if isinstance(value, float) else repr(value)
            for value in column["values"]
        )
        more = ", ..." if column["number"] > len(column["values"]) else ""
        lines.append(f"  {name:<{wide}}  {column['kind']:<5} [{column['number']}]  {values}{more}")
    return lines


def _of_bad(preview: Preview) -> list[str]:
    if not preview.bad:
        return []
    reasons = ", ".join(f"{number:,} {code}" for code, number in preview.reasons.items())
    return [
        f"Rejected  {reasons}; the first ones",
        *(f"  {bad.file}, line {bad.line}: {bad.code}: {bad.detail}" for bad in preview.bad),
    ]


def _plural(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def size(number: float) -> str:
    """Format bytes: 812 B, 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Format seconds: 40 s, 3 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
