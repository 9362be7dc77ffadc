"""Select the spans of data to run over, and keep a journal of the runs over them.

    WORKDIR/spans.json      a list of entries, oldest run first; see files/state.py

A requested span is run again if something that decides its result has changed, or if
it is the newest that was run: that run comes from the cache and checks what is served. An older
span is left alone; otherwise its model would be judged anew and could displace its successors.
"""

import dataclasses
import datetime
import logging
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragline.components.contract import exits
from ragline.components.contract.errors import BadDataError
from ragline.components.files import state
from ragline.components.files.state import StateError
from ragline.components.files.storage import digest_of
from ragline.components.ingest.options import InputOptions
from ragline.pipeline.config import Config, ConfigError, Contract, read_contract, to_dict

JOURNAL_FILE, _KIND = "spans.json", "journal of spans"
_log = logging.getLogger("ragline.spans")
_EPOCH = datetime.date(1970, 1, 1)
_HEADS = ("span", "read", "ended", "exit code", "version", "run")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Describes a run over a span, as the journal keeps it.

    Attributes:
      span: number of the span; of a date, the days since 1970-01-01.
      spans: names of all spans that were read, oldest first; empty if the run read none.
      key: digest of what decides the result; see `key_of`.
      run_id: id of the run.
      exit_code: exit code of the run.
      version: number of the version that the run pushed; None if it pushed none.
    """

    span: int
    spans: tuple[str, ...]
    key: str
    run_id: str
    exit_code: int
    version: int | None


def parse(text: str) -> range:
    """Parse `7`, or `1..30` with both ends, as the numbers of spans.

    Raises:
      ValueError: it is neither.
    """
    match = re.fullmatch(r"([0-9]+)(?:\.\.([0-9]+))?", text)
    numbers = match and range(int(match[1]), int(match[2] or match[1]) + 1)
    if not numbers:
        raise ValueError(f"expected a number such as 7, or 1..30 in order, received {text!r}")
    return numbers


def parse_date(text: str) -> range:
    """Parse a date as the number of its span: the days since 1970-01-01.

    Raises:
      ValueError: it is no date, or a date before that.
    """
    try:
        number = (datetime.date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError(f"expected a date such as 2026-11-20, received {text!r}")
    return range(number, number + 1)


def configurations(config: Config, numbers: Sequence[int]) -> Iterator[Config]:
    """Yield the configuration of each span's run.

    Raises:
      ConfigError: the input has no spans.
    """
    for number in numbers:
        try:
            options = dataclasses.replace(config.input, span=number)
        except ValueError as error:
            raise ConfigError(f"input.{error}") from error
        yield dataclasses.replace(config, input=options)


def key_of(config: Config, contract: Contract) -> str:
    """Digest all that decides a run: its configuration, its files, its schema and our code.

    Raises:
      BadDataError: there are no such files.
    """
    from ragline.components.ingest.source import read_plan
    from ragline.pipeline.cache import cache_key

    options = {key: value for key, value in to_dict(config).items() if key not in _DECIDE_NOTHING}
    return digest_of(
        [
            repr(options),
            contract.text,
            repr(contract.rules),
            read_plan.fingerprint(config.input),
            cache_key.source(),
        ]
    )


# Tables and keys that decide no result: where a run works, on what engine, what is kept of it.
_DECIDE_NOTHING = ("workdir", "beam", "keep")


def key_before(config: Config, contract: Contract) -> str:
    """Return the key of a run over a span before it reads, so without what arrives meanwhile.

    It is empty for a run without a span, and where there are no files: such a run is never skipped.
    """
    if config.input.span is None:
        return ""
    try:
        return key_of(config, contract)
    except BadDataError:
        return ""


def stamps(options: InputOptions) -> dict[str, tuple[float, ...]]:
    """Return path -> what changes when the file is touched; empty where `key_before` is."""
    from ragline.components.ingest.source import read_plan

    try:
        return {} if options.span is None else dict(read_plan.watch(options).stamps)
    except BadDataError:
        return {}


def entry_to_skip(config: Config) -> Entry | None:
    """Return the entry of a span that need not run: nothing changed, and a newer span was run.

    Raises:
      ConfigError: the journal cannot be read.
    """
    entries = journal(config)
    of_span = [entry for entry in entries if entry.span == config.input.span]
    if not of_span or all(entry.span <= of_span[-1].span for entry in entries):
        return None
    if of_span[-1].exit_code not in (exits.DONE, exits.NOT_BLESSED):
        return None
    key = key_before(config, read_contract(config))
    return of_span[-1] if key and of_span[-1].key == key else None


def journal(config: Config) -> list[Entry]:
    """Return all entries, oldest run first; none, with a warning, if the file is no journal.

    Raises:
      ConfigError: the journal cannot be read.
    """
    file = pathlib.Path(config.workdir, JOURNAL_FILE)
    try:
        entries: list[Entry] = state.read(file, _KIND, list[Entry])
    except FileNotFoundError:
        return []
    except StateError as error:
        _log.warning("%s; no span counts as done", error)
        return []
    except OSError as error:
        raise ConfigError(f"{file}: expected the journal of spans: {error.strerror}") from error
    return entries


def record(config: Config, summary: Mapping[str, Any], key: str) -> None:
    """Add a run that has ended, with the key from before it; the caller holds the folder."""
    if config.input.span is None:
        return
    entry = Entry(
        span=config.input.span,
        spans=tuple(summary["input"]["spans"]) if summary["input"] else (),
        key=key,
        run_id=summary["run_id"],
        exit_code=summary["exit_code"],
        version=summary["pushed"]["version"] if summary["pushed"] else None,
    )
    entries = [*journal(config), entry]
    file = pathlib.Path(config.workdir, JOURNAL_FILE)
    state.write(file, _KIND, [dataclasses.asdict(entry) for entry in entries])


def markdown(entries: Sequence[Entry]) -> str:
    """Return the journal as a Markdown table, newest run first."""
    outcomes = {exits.DONE: "done", exits.NOT_BLESSED: "not blessed", exits.BAD_DATA: "bad data"}
    lines = [f"| {' | '.join(_HEADS)} |", "|" + "---|" * len(_HEADS)]
    for entry in reversed(entries):
        cells = (
            str(entry.span),
            ", ".join(entry.spans),
            outcomes.get(entry.exit_code, "failed"),
            str(entry.exit_code),
            "" if entry.version is None else str(entry.version),
            entry.run_id,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
