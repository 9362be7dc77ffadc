"""Reconcile the units' reports: what they wrote and rejected must add up to what was read.

Counters of a runner can be exact while its files are not (Beam's multi_threading mode lost records
and reported DONE), so nothing is believed but files: each unit reads back the shards that it wrote,
and all that it rejected stands in a file. accepted + quarantined = read.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import Staged, read_json
from ragline.components.ingest.beam import process
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.output import statistics
from ragline.components.ingest.records import checks, duplicates
from ragline.components.ingest.source.units import Unit

Report = Mapping[str, Any]
# Rejected records of each reason that the ingest report shows, and how much of their text.
MOST_OF_A_REASON = 3
_SHOWN_CHARACTERS = 200


def reports(staging: Place, units: Collection[Unit], *, grouped: bool) -> list[Report]:
    """Read the units' reports, in order; where rows were grouped, those of their shards.

    Raises:
      BadDataError: the first that a unit met.
      RuntimeError: a unit has no report, or rows were lost between reading and grouping.
    """
    file_of = process.rows_file if grouped else process.report_file
    try:
        unit_reports: list[Report] = [read_json(file_of(staging, unit.index)) for unit in units]
    except FileNotFoundError as error:
        raise RuntimeError(f"ingest lost a unit of work: {error}") from error
    _raise_failure(unit_reports)
    if not grouped:
        return unit_reports
    read = sum(report["rows"] for report in unit_reports)
    shard_reports = sorted(map(read_json, process.report_files(staging)), key=lambda r: r["unit"])
    _raise_failure(shard_reports)
    if (kept := sum(report["rows"] for report in shard_reports)) != read:
        raise RuntimeError(f"ingest lost rows: read {read}, but grouped {kept}")
    return shard_reports


def _raise_failure(unit_reports: Iterable[Report]) -> None:
    for report in unit_reports:
        if failure := report.get("failure"):
            raise BadDataError(failure["code"], *failure["lines"])


def gather_quarantine(
    parts: Iterable[Place], quarantine: Place
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Put the units' rejected records into one file, if there are any.

    Returns:
      code -> number of its records; and the first MOST_OF_A_REASON records of each code, as the
      quarantine has them, with less of their text.
    """
    parts = [part for part in parts if places.exists(part)]
    if not parts:
        return {}, []
    counted: Counter[str] = Counter()
    sample: dict[str, list[dict[str, Any]]] = {}
    with Staged(quarantine) as staged, staged.open("wb") as whole:
        for part in parts:
            with places.open(part) as lines:
                for line in lines:
                    record = json.loads(line)
                    code, text = record["code"], record["text"]
                    counted[code] += 1
                    if counted[code] <= MOST_OF_A_REASON:
                        cut = "…" if len(text) > _SHOWN_CHARACTERS else ""
                        shown = record | {"text": text[:_SHOWN_CHARACTERS] + cut}
                        sample.setdefault(code, []).append(shown)
                    whole.write(line)
    in_order = sorted(sample)
    return (
        {code: counted[code] for code in in_order},
        [record for code in in_order for record in sample[code]],
    )


def reconcile_records(unit_reports: Iterable[Report], reasons: Mapping[str, int]) -> dict[str, Any]:
    """Add up the records of all units.

    Args:
      unit_reports: the reports of all units.
      reasons: code -> number of records in the quarantine.

    Returns:
      read, accepted and quarantined (records; a record may make several sequences), reasons,
      examples {code: its first record}, policies {what was cut or left out: number}.

    Raises:
      RuntimeError: records were lost between reading and writing.
    """
    read = accepted = 0
    policies: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for report in unit_reports:
        read += report["read"]
        accepted += report["accepted"]
        policies.update(report["policies"])
        examples = report["first"] | examples
    quarantined = sum(reasons.values())
    if accepted + quarantined != read:
        raise RuntimeError(
            f"lost records: read {read}, but {accepted} were accepted and {quarantined} "
            "quarantined; nothing of this run can be trusted"
        )
    return {
        "read": read,
        "accepted": accepted,
        "quarantined": quarantined,
        "reasons": dict(reasons),
        "examples": {code: examples[code] for code in reasons},
        "policies": dict(sorted(policies.items())),
    }


def reconcile(
    unit_reports: Collection[Report], reasons: Mapping[str, int], columns: Columns
) -> dict[str, Any]:
    """Make the ingest report of the reports of all units.

    Args:
      unit_reports: the reports of all units.
      reasons: code -> number of records in the quarantine.
      columns: the columns of the schema.

    Returns:
      The ingest report: what `reconcile_records` returns; splits {split: {sequences, steps, lengths
      {bucket: number}, shards [{name, records, bytes, sha256}]}}, features {name: {min, max,
      missing, values}} over all steps written, constant_features, and of long tables rows {read,
      accepted, quarantined}.

    Raises:
      RuntimeError: records were lost between reading and writing.
    """
    records = reconcile_records(unit_reports, reasons)
    splits = {split: _split(unit_reports, split) for split in SPLITS}
    features = statistics.merged([report["features"] for report in unit_reports], columns)
    rows = sum(report["rows"] for report in unit_reports)
    accepted_rows = sum(report["accepted_rows"] for report in unit_reports)
    return {
        **records,
        "splits": splits,
        "features": features,
        "constant_features": statistics.constant(features),
        "rows": {"read": rows, "accepted": accepted_rows, "quarantined": rows - accepted_rows},
    }


def _split(unit_reports: Iterable[Report], split: str) -> dict[str, Any]:
    shards = []
    steps = 0
    lengths: Counter[str] = Counter()
    for report in unit_reports:
        lengths.update(report["lengths"][split])
        written = report["written"].get(split, 0)
        shard = report["shards"].get(split)
        records = shard["records"] if shard else 0
        if records != written:
            raise RuntimeError(
                f"ingest lost sequences: wrote {written} to {split}, but {records} stand in it"
            )
        if shard:
            steps += shard["steps"]
            shards.append({key: shard[key] for key in ("name", "records", "bytes", "sha256")})
    return {
        "sequences": sum(shard["records"] for shard in shards),
        "steps": steps,
        "lengths": dict(sorted(lengths.items(), key=lambda item: int(item[0].partition("-")[0]))),
        "shards": shards,
    }


def check(
    report: Mapping[str, Any],
    *,
    options: InputOptions,
    max_share: float,
    quarantine: Place,
) -> None:
    """Stop the run when too many records were rejected, or too few are left.

    Args:
      report: what `reconcile` returned.
      options: the options of the input.
      max_share: the share of the records read that may be rejected.
      quarantine: where the rejected records are, for the message.

    Raises:
      BadDataError: what `check_rejected` raises; or `insufficient_data`, a split is empty.
    """
    check_rejected(report, options=options, max_share=max_share, quarantine=quarantine)
    for name in SPLITS:
        if not report["splits"][name]["sequences"]:
            sequences = sum(split["sequences"] for split in report["splits"].values())
            raise BadDataError(
                "insufficient_data",
                f"the {name} split is empty: expected at least one sequence in it, "
                f"received {sequences} in all; one entity always falls in one split",
            )


def check_rejected(
    report: Mapping[str, Any],
    *,
    options: InputOptions,
    max_share: float,
    quarantine: Place,
) -> None:
    """Stop the run when there is nothing, or too many records were rejected.

    Args:
      report: what `reconcile_records` returned.
      options: the options of the input.
      max_share: the share of the records read that may be rejected.
      quarantine: where the rejected records are, for the message.

    Raises:
      BadDataError: `no_data`, `duplicate_id`, `entity_in_two_splits` or `quarantine`.
    """
    read, rejected, reasons = report["read"], report["quarantined"], report["reasons"]
    examples = report["examples"]
    lines = [f"{reasons[code]} x {code}: {examples[code]}" for code in reasons]
    if not read:
        raise BadDataError("no_data", "expected at least one record, the input holds none")
    for code, stops in (
        (duplicates.DUPLICATE_ID, options.duplicate_id == "abort"),
        (duplicates.ENTITY_IN_TWO_SPLITS, options.eval is not None),
    ):
        if stops and code in reasons:
            raise BadDataError(code, f"{reasons[code]} x {examples[code]}", f"all: {quarantine}")
    if rejected > max_share * read:
        raise BadDataError(
            "quarantine",
            f"{rejected} of {read} records were rejected ({rejected / read:.1%}), more than "
            f"quarantine.max_share = {max_share:.1%}",
            *lines,
            *checks.remedies(examples.values()),
            f"all of them: {quarantine}",
        )
