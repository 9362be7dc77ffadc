"""Read what a run left beside its summary: its configuration, and the first rejected records."""

import json
import pathlib
from typing import Any

from ragline.components.contract.redaction import redacted_data
from ragline.pipeline.runs.workdir import CONFIG_FILE

# Rejected records that are shown: of each reason, and of how many lines of the file at most.
MOST_OF_A_REASON = 3
_MOST_LINES = 20_000
_SHOWN_CHARACTERS = 200


def read_config(folder: pathlib.Path) -> str | None:
    """Return the configuration of a run; None if it left none.

    Args:
      folder: runs/<run id> of a work directory.
    """
    file = folder / CONFIG_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def read_rejected(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Return the first rejected records of each reason, as the quarantine has them.

    A run that took its data from the cache has none of its own: the quarantine names the run that
    read them.

    Args:
      folder: runs/<run id> of a work directory.
    """
    shown: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((folder.parent.parent / "quarantine" / folder.name).glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line, _ in zip(lines, range(_MOST_LINES), strict=False):
                record = json.loads(line)
                of_reason = shown.setdefault(record["code"], [])
                if len(of_reason) < MOST_OF_A_REASON:
                    text = str(record["text"])
                    cut = "…" if len(text) > _SHOWN_CHARACTERS else ""
                    of_reason.append(record | {"text": text[:_SHOWN_CHARACTERS] + cut})
    records: list[dict[str, Any]] = redacted_data([r for each in shown.values() for r in each])
    return records
