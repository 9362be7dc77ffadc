"""List the shards of a split by the ingest report, and check them.

A glob would take the files that are there, and miss that a shard is missing, left over or changed.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import sha256


def shards(
    ingest_report: Mapping[str, Any], split: str, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Return the files of a split, in order, if all are there and as they were written.

    Args:
      ingest_report: the content of account.json.
      split: the name of the split.
      folder: the split's folder in the examples.

    Raises:
      BadDataError: `missing_shard`, `unknown_shard` or `changed_shard`.
    """
    entries = {entry["name"]: entry for entry in ingest_report["splits"][split]["shards"]}
    present = set(os.listdir(folder)) if folder.is_dir() else set()
    for code, names, what in (
        ("missing_shard", entries.keys() - present, "the account names it, and it is not there"),
        (
            "unknown_shard",
            present - entries.keys(),
            "it is there, and the account does not name it",
        ),
    ):
        if names:
            raise BadDataError(code, *(f"{folder / name}: {what}" for name in sorted(names)))
    for name, entry in entries.items():
        path = folder / name
        size = path.stat().st_size
        if size != entry["bytes"]:
            expected = f"expected {entry['bytes']} bytes, received {size}"
            raise BadDataError("changed_shard", f"{path}: {expected}")
        if sha256(path) != entry["sha256"]:
            raise BadDataError("changed_shard", f"{path}: its SHA-256 is not the account's")
    return [folder / name for name in entries]
