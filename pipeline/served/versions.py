"""List the versions of a work directory and roll back, for `ragline versions` and `rollback`."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from ragline.components.push.release import ledger, rollback
from ragline.components.push.release.entries import Entry
from ragline.pipeline.config import Config, ConfigError, read_contract
from ragline.pipeline.runs import workdir
from ragline.pipeline.served import signature

_HEADS = ("version", "state", "pushed", "run", "model", "remarks")


def rows(config: Config) -> list[dict[str, Any]]:
    """Return every version of a work directory, newest first.

    Returns:
      The ledger's entry of each, without the digests of its files; its `state`: `newest`, `kept`,
      `removed`, `missing`, `damaged`, or `foreign`, which is in no ledger; and its `damage`, a
      sentence a file.

    Raises:
      LedgerError: the ledger cannot be read.
    """
    serving = pathlib.Path(config.workdir, workdir.SERVING)
    entries = {entry.version: entry for entry in ledger.read(serving)}
    on_disk = {version.number: version for version in ledger.versions(serving)}
    rows = []
    for number in sorted(entries.keys() | on_disk.keys(), reverse=True):
        row = {"version": number} | (
            dataclasses.asdict(entries[number]) if number in entries else {}
        )
        row.pop("files", None)
        version = on_disk.get(number)
        row["state"] = _state(entries.get(number), version, max(on_disk, default=0))
        row["damage"] = list(version.damage) if version else []
        rows.append(row)
    return rows


def _state(entry: Entry | None, version: ledger.Version | None, top: int) -> str:
    if version is None:
        return "removed" if entry and entry.removed else "missing"
    if entry is None:
        return "foreign"
    if version.damage:
        return "damaged"
    return "newest" if version.number == top else "kept"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, each model with 12 digits of its fingerprint."""
    lines = [f"| {' | '.join(_HEADS)} |", "|" + "---|" * len(_HEADS)]
    for row in rows:
        remarks = [row.get("note"), *row["damage"]]
        remarks += [f"{key}: {row[key]}" for key in ("withdrawn", "removed") if row.get(key)]
        cells = (
            str(row["version"]),
            row["state"],
            row.get("time", ""),
            row.get("run_id", ""),
            row.get("fingerprint", "")[:12],
            "; ".join(filter(None, remarks)),
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def roll_back(config: Config, *, why: str, to: int | None) -> tuple[dict[str, Any], str]:
    """Make an earlier version the newest; see `ragline.components.push.release.rollback`.

    Returns:
      The result for --json: `pushed` {version, path} or None; `from`, the version that was copied;
      `withdrawn`, the versions whose model was the newest; `refusals` and `notes`. And its text.

    Raises:
      BusyError: a run holds the work directory.
      ConfigError: there is no such work directory, or it is another pipeline's.
      NoVersionError: there is no such version.
      LedgerError: the ledger cannot be read.
    """
    folder = pathlib.Path(config.workdir)
    if not why.strip():
        raise ConfigError("--why: expected a sentence, received none")
    if not folder.is_dir():
        raise ConfigError(f"workdir: expected a folder that holds runs, received {folder}")
    wanted = signature.configured(config, read_contract(config).columns)
    signature.check_pipeline(wanted, folder)
    with workdir.lock(folder):
        outcome = rollback.rollback(folder / workdir.SERVING, why=why, to=to, keep=config.push.keep)
    pushed = outcome.version and {
        "version": outcome.version.number,
        "path": str(outcome.version.path),
    }
    result = {
        "pushed": pushed,
        "from": outcome.to,
        "withdrawn": list(outcome.withdrawn),
        "refusals": list(outcome.refusals),
        "notes": list(outcome.notes),
    }
    if not outcome.version:
        return result, "\n".join(
            [f"version {outcome.to} does not pass its check", *outcome.refusals]
        )
    numbers = ", ".join(map(str, outcome.withdrawn))
    lines = [
        *outcome.notes,
        f"version {outcome.version.number} is version {outcome.to} again, and the newest",
        f"withdrawn  {numbers}: no run pushes that model again, until `ragline rollback` to it",
        f"encoder    {outcome.version.path}",
    ]
    return result, "\n".join(lines)
