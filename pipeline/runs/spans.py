"""Runs over spans of data: which ones are asked for, and a journal of those that are done.

    WORKDIR/spans.json      a list of entries, oldest run first; see files/state.py

A span that is asked for again is run again only if something has changed that decides its result,
or if it is the newest that was run: all of that run comes from the cache, and what is served is
looked after. An older one is left alone, or its model would be judged anew and could displace its
successors.
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
    """A run over a span, as the journal keeps it.

    Attributes:
      span: its number; of a date, the days since 1970-01-01.
      spans: the names of all that were read, oldest first; none if the run did not get so far.
      key: digest of what decides the result; see `key_of`.
      run_id: of the run.
      exit_code: of the run.
      version: of the model that is served since; None if none was pushed.
    """

    span: int
    spans: tuple[str, ...]
    key: str
    run_id: str
    exit_code: int
    version: int | None


def parse(text: str) -> range:
    """`7`, or `1..30` with both ends, as the numbers of spans.

    Raises:
      ValueError: it is neither.
    """
    found = re.fullmatch(r"([0-9]+)(?:\.\.([0-9]+))?", text)
    numbers = found and range(int(found[1]), int(found[2] or found[1]) + 1)
    if not numbers:
        raise ValueError(f"expected a number such as 7, or 1..30 in order, received {text!r}")
    return numbers


def parse_date(text: str) -> range:
    """A date as the number of its span: the days since 1970-01-01.

    Raises:
      ValueError: it is no date, or one before that.
    """
    try:
        number = (datetime.date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError(f"expected a date such as 2026-11-20, received {text!r}")
    return range(number, number + 1)


def configurations(config: Config, numbers: Sequence[int]) -> Iterator[Config]:
    """The configuration of each span's run.

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

    options = {key: value for key, value in to_dict(config).items() if key not in _ELSEWHERE}
    return digest_of(
        [
            repr(options),
            contract.text,
            repr(contract.rules),
            read_plan.fingerprint(config.input),
            cache_key.source(),
        ]
    )


# Where a run works, on what engine, and what is kept of it, decides nothing.
_ELSEWHERE = ("workdir", "beam", "keep")


def key_before(config: Config, contract: Contract) -> str:
    """The key of a run over a span before it reads: what arrives while it works is not in it.

    Empty for a run without a span, and where there are no files: there is nothing not to repeat.
    """
    if config.input.span is None:
        return ""
    try:
        return key_of(config, contract)
    except BadDataError:
        return ""


def stamps(options: InputOptions) -> dict[str, tuple[float, ...]]:
    """What changes when a file of a span's run is touched, while it works say; empty as the key."""
    from ragline.components.ingest.source import read_plan

    try:
        return {} if options.span is None else dict(read_plan.watch(options).stamps)
    except BadDataError:
        return {}


def done(config: Config) -> Entry | None:
    """The entry of a span that need not be run: nothing has changed, and a newer one was run.

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
    """All entries, oldest run first; none, if what stands there is no journal, which is told.

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
    """Enters a run that has ended, with its key from before it; for one that holds the workdir."""
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
    """The journal as a Markdown table, newest run first."""
    ended = {exits.DONE: "done", exits.NOT_BLESSED: "not blessed", exits.BAD_DATA: "bad data"}
    lines = [f"| {' | '.join(_HEADS)} |", "|" + "---|" * len(_HEADS)]
    for entry in reversed(entries):
        cells = (
            str(entry.span),
            ", ".join(entry.spans),
            ended.get(entry.exit_code, "failed"),
            str(entry.exit_code),
            "" if entry.version is None else str(entry.version),
            entry.run_id,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
