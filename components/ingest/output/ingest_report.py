"""The account of every record: what the units report and wrote must add up to what was read.

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
from ragline.components.ingest.records import duplicates
from ragline.components.ingest.source.units import Unit

Report = Mapping[str, Any]


def reports(staging: Place, units: Collection[Unit], *, grouped: bool) -> list[Report]:
    """What the units report, in order; where rows were grouped, what their shards report.

    Raises:
      BadDataError: the first one that a unit met.
      RuntimeError: a unit reports nothing, or rows were lost between reading and grouping.
    """
    file_of = process.rows_file if grouped else process.report_file
    try:
        found: list[Report] = [read_json(file_of(staging, unit.index)) for unit in units]
    except FileNotFoundError as error:
        raise RuntimeError(f"ingest lost a unit of work: {error}") from error
    _raise_failure(found)
    if not grouped:
        return found
    read = sum(report["rows"] for report in found)
    found = sorted(map(read_json, process.report_files(staging)), key=lambda r: r["unit"])
    _raise_failure(found)
    if (kept := sum(report["rows"] for report in found)) != read:
        raise RuntimeError(f"ingest lost rows: read {read}, but grouped {kept}")
    return found


def _raise_failure(found: Iterable[Report]) -> None:
    for report in found:
        if failure := report.get("failure"):
            raise BadDataError(failure["code"], *failure["lines"])


def gather_quarantine(parts: Iterable[Place], quarantine: Place) -> dict[str, int]:
    """Puts the units' rejected records into one file, if there are any: code -> how many."""
    parts = [part for part in parts if places.size(part)]
    if not parts:
        return {}
    counted: Counter[str] = Counter()
    with Staged(quarantine) as staged, staged.open("wb") as whole:
        for part in parts:
            with places.open(part) as lines:
                for line in lines:
                    counted[json.loads(line)["code"]] += 1
                    whole.write(line)
    return dict(sorted(counted.items()))


def settle(
    found: Collection[Report], reasons: Mapping[str, int], columns: Columns
) -> dict[str, Any]:
    """Adds the reports up.

    Args:
      found: the units' reports.
      reasons: code -> how many records stand in the quarantine for it.
      columns: what the schema says.

    Returns:
      read, accepted and quarantined (records; a record may make several sequences), reasons,
      examples {code: the first record of it}, splits {split: {sequences, steps, lengths {bucket:
      how many}, shards [{name, records, bytes, sha256}]}}, policies {what was cut or left out: how
      many}, features {name: {min, max, missing, values}} over all
      steps written, constant_features, and of long tables rows {read, accepted, quarantined}.

    Raises:
      RuntimeError: records were lost between reading and writing.
    """
    total: Counter[str] = Counter()
    policies: Counter[str] = Counter()
    for report in found:
        total.update({key: report[key] for key in ("read", "accepted", "rows", "accepted_rows")})
        policies.update(report["policies"])
    splits = {split: _split(found, split) for split in SPLITS}
    rejected = sum(reasons.values())
    if total["accepted"] + rejected != total["read"]:
        raise RuntimeError(
            f"ingest lost records: read {total['read']}, but {total['accepted']} were accepted and "
            f"{rejected} quarantined; nothing of this run can be trusted"
        )
    features = statistics.merged([report["features"] for report in found], columns)
    return {
        "read": total["read"],
        "accepted": total["accepted"],
        "quarantined": rejected,
        "reasons": dict(reasons),
        "examples": examples_of(found, reasons),
        "splits": splits,
        "policies": dict(sorted(policies.items())),
        "features": features,
        "constant_features": statistics.constant(features),
        "rows": {
            "read": total["rows"],
            "accepted": total["accepted_rows"],
            "quarantined": total["rows"] - total["accepted_rows"],
        },
    }


def examples_of(found: Iterable[Report], reasons: Mapping[str, int]) -> dict[str, str]:
    """Code -> where the first record of it stands, and what is wrong with it."""
    examples: dict[str, str] = {}
    for report in found:
        examples = report["first"] | examples
    return {code: examples[code] for code in reasons}


def _split(found: Iterable[Report], split: str) -> dict[str, Any]:
    shards = []
    sequences = steps = 0
    lengths: Counter[str] = Counter()
    for report in found:
        lengths.update(report["lengths"][split])
        written = report["written"].get(split, 0)
        shard = report["shards"].get(split)
        records = shard["records"] if shard else 0
        if records != written:
            raise RuntimeError(
                f"ingest lost sequences: wrote {written} to {split}, but {records} stand in it"
            )
        if shard:
            sequences += records
            steps += shard["steps"]
            shards.append({key: shard[key] for key in ("name", "records", "bytes", "sha256")})
    return {
        "sequences": sum(shard["records"] for shard in shards),
        "steps": steps,
        "lengths": dict(sorted(lengths.items(), key=lambda of: int(of[0].partition("-")[0]))),
        "shards": shards,
    }


def check(
    account: Mapping[str, Any],
    *,
    options: InputOptions,
    max_share: float,
    quarantine: Place,
) -> None:
    """Stops the run when too many records were rejected, or too few are left.

    Args:
      account: what `settle` returned.
      options: of the input.
      max_share: share of the records read that may be rejected.
      quarantine: where the rejected records are, for the message.

    Raises:
      BadDataError: as of `check_rejected`; or `insufficient_data`, a split is empty.
    """
    check_rejected(account, options=options, max_share=max_share, quarantine=quarantine)
    for name in SPLITS:
        if not account["splits"][name]["sequences"]:
            sequences = sum(split["sequences"] for split in account["splits"].values())
            raise BadDataError(
                "insufficient_data",
                f"the {name} split is empty: expected at least one sequence in it, "
                f"received {sequences} in all; one entity always falls in one split",
            )


def check_rejected(
    account: Mapping[str, Any],
    *,
    options: InputOptions,
    max_share: float,
    quarantine: Place,
) -> None:
    """Stops the run when there is nothing, or too many records were rejected.

    Args:
      account: of it, read, quarantined, reasons and examples are looked at.
      options: of the input.
      max_share: share of the records read that may be rejected.
      quarantine: where the rejected records are, for the message.

    Raises:
      BadDataError: `no_data`, `duplicate_id`, `entity_in_two_splits` or `quarantine`.
    """
    read, rejected, reasons = account["read"], account["quarantined"], account["reasons"]
    examples = account["examples"]
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
            f"all of them: {quarantine}",
        )
