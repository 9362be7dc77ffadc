"""The account of every record: what was written is read back, and must add up with what was read.

Counters of a runner can be exact while its files are not (Beam's multi_threading mode lost records
and reported DONE), so nothing is believed but the files: accepted + quarantined = read.
"""

import collections
import json
import pathlib
from typing import Any

import tensorflow as tf

from components.errors import BadDataError
from components.sequence import ENTITY_ID, LENGTH, SPLITS
from components.storage import sha256


def read_back(split_folders: dict[str, pathlib.Path]) -> dict[str, Any]:
    """Counts what stands in the shards of each split.

    Args:
      split_folders: split -> its folder of gzipped TFRecord shards.

    Returns:
      split -> {sequences, steps, shards: [{name, records, bytes, sha256}]}.

    Raises:
      BadDataError: `entity_in_two_splits`.
    """
    entities: dict[str, set[bytes]] = {}
    account: dict[str, Any] = {}
    for split, folder in split_folders.items():
        entities[split] = set()
        shards, steps = [], 0
        for path in sorted(folder.iterdir()):
            records = 0
            for record in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
                feature = tf.train.Example.FromString(record).features.feature
                steps += feature[LENGTH].int64_list.value[0]
                entities[split].add(feature[ENTITY_ID].bytes_list.value[0])
                records += 1
            size = path.stat().st_size
            shards.append(
                {"name": path.name, "records": records, "bytes": size, "sha256": sha256(path)}
            )
        account[split] = {
            "sequences": sum(shard["records"] for shard in shards),
            "steps": steps,
            "shards": shards,
        }
    if shared := set.intersection(*entities.values()):
        name = min(shared).decode()
        raise BadDataError(
            "entity_in_two_splits",
            f"entity {name!r} stands in both splits ({len(shared)} such entities); "
            "its sequences would be trained on and evaluated on",
        )
    return account


def reasons_of(quarantine: pathlib.Path) -> tuple[dict[str, int], dict[str, str]]:
    """Counts the lines of a quarantine file by code.

    Returns:
      (code -> how many, code -> the first such record in a sentence).
    """
    counted: collections.Counter[str] = collections.Counter()
    first: dict[str, str] = {}
    with quarantine.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            code = record["code"]
            counted[code] += 1
            place = f"{record['file']}, line {record['line']}"
            first.setdefault(code, f"{code}: {place}: {record['detail']}")
    return dict(sorted(counted.items())), first


def check(
    *,
    read: int,
    splits: dict[str, Any],
    reasons: dict[str, int],
    examples: dict[str, str],
    max_quarantine_share: float,
    quarantine: pathlib.Path,
) -> None:
    """Stops the run when records were lost, or when too many were rejected, or too few are left.

    Args:
      read: how many records the readers counted.
      splits: what `read_back` returned.
      reasons: quarantine code -> how many.
      examples: quarantine code -> the first such record, in a sentence.
      max_quarantine_share: share of the records read that may be rejected.
      quarantine: where the rejected records are, for the message.

    Raises:
      BadDataError: `no_data`, `quarantine` or `insufficient_data`.
      RuntimeError: records were lost between reading and writing.
    """
    accepted = sum(split["sequences"] for split in splits.values())
    rejected = sum(reasons.values())
    if accepted + rejected != read:
        raise RuntimeError(
            f"ingest lost records: read {read}, but {accepted} were written and {rejected} "
            "quarantined; nothing of this run can be trusted"
        )
    if not read:
        raise BadDataError("no_data", "expected at least one record, the input holds none")
    if rejected > max_quarantine_share * read:
        raise BadDataError(
            "quarantine",
            f"{rejected} of {read} records were rejected ({rejected / read:.1%}), more than "
            f"input.max_quarantine_share = {max_quarantine_share:.1%}",
            *(f"{reasons[code]} x {examples[code]}" for code in reasons),
            f"all of them: {quarantine}",
        )
    for name in SPLITS:
        if not splits[name]["sequences"]:
            raise BadDataError(
                "insufficient_data",
                f"the {name} split is empty: expected at least one sequence in it, "
                f"received {accepted} in all; one entity always falls in one split",
            )
