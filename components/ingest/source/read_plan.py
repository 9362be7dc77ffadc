"""Plan what a run reads: patterns -> files with their formats -> pieces -> units of work."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import digest_of
from ragline.components.ingest import formats
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import File
from ragline.components.ingest.source import beginnings, patterns, raw_files, units
from ragline.components.ingest.source.patterns import MatchedFiles
from ragline.components.ingest.source.units import Unit

_LOG = logging.getLogger(__name__)
_TOLD = logging.getLogger("ragline.ingest")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """States the input of a run.

    Attributes:
      files: all files, those of train before those of eval.
      spans: the spans of the files, oldest first.
      missing: spans that are missing between those, as `patterns` says.
      units: the units of work.
    """

    files: tuple[File, ...]
    spans: tuple[str, ...]
    missing: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def formats(self) -> dict[str, int]:
        """Return the number of files of each format."""
        return dict(Counter(file.format for file in self.files))


def find_files(options: InputOptions) -> dict[str | None, MatchedFiles]:
    """Return the files of each split; the key is None where files are split by their records.

    Raises:
      BadDataError: a pattern names no file, too few spans or a file outside its folder; or train
        and eval are of different spans.
    """
    pattern_of: dict[str | None, str] = {None: options.train}
    if options.eval is not None:
        pattern_of = dict(zip(SPLITS, (options.train, options.eval), strict=True))
    train, evaluation = SPLITS
    matches = {
        split: patterns.match(
            pattern,
            spans=1 if split == evaluation else options.spans,
            newest=options.span,
            max_gap=options.max_gap,
            allow_outside=options.allow_outside,
        )
        for split, pattern in pattern_of.items()
    }
    newest = {matched.spans[-1] for matched in matches.values() if matched.spans}
    if len(newest) > 1:
        raise BadDataError(
            "span_mismatch",
            "expected the same newest span of train and eval, received "
            f"{matches[train].spans[-1]} and {matches[evaluation].spans[-1]}",
        )
    return matches


def fingerprint(options: InputOptions) -> str:
    """Return the digest of the names and the content of all files of a run.

    Raises:
      BadDataError: see `find_files`.
    """
    return digest_of(
        raw_files.fingerprint(matched.paths) for matched in find_files(options).values()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Keeps files as they were when they were hashed, to be compared once they are read.

    Attributes:
      options: the options of the input.
      stamps: path -> what changes whenever the file is touched.
    """

    options: InputOptions
    stamps: Mapping[str, raw_files.Stamp]

    def check(self, formats: Mapping[str, int]) -> None:
        """Hold that what was read is what was hashed: no file was touched, and none was added.

        Args:
          formats: the formats of the plan that was read.

        Raises:
          BadDataError: `changed_input`.
        """
        raw_files.check_untouched(self.stamps)
        if sum(formats.values()) != len(self.stamps):
            raise _changed(self.options)


def watch(options: InputOptions, expected: str = "") -> Watched:
    """Begin to watch the files of a run, before they are hashed or read.

    Args:
      options: the options of the input.
      expected: the fingerprint that was taken earlier, if there is one to hold.

    Raises:
      BadDataError: see `find_files`; `changed_input`, they are others by now.
    """
    paths = {path for matched in find_files(options).values() for path in matched.paths}
    watched = Watched(options=options, stamps=raw_files.stamps(paths))
    if expected and fingerprint(options) != expected:
        raise _changed(options)
    return watched


def _changed(options: InputOptions) -> BadDataError:
    return BadDataError(
        "changed_input",
        f"{options.train}: expected the files that were there when the run began, received others, "
        "or changed ones; nothing of them was kept, run again",
    )


def list_files(matches: Mapping[str | None, MatchedFiles], options: InputOptions) -> list[File]:
    """List the files that patterns name, each with its format.

    Raises:
      BadDataError: `unknown_format`; `not_a_table`, where rows are to be grouped.
    """
    names = patterns.names(matches.values())
    files: list[File] = []
    for split, matched in matches.items():
        for path in matched.paths:
            is_guessed = options.format == formats.AUTO
            file_format = beginnings.guess(path) if is_guessed else options.format
            if options.group_by and not formats.of(file_format).is_table:
                raise BadDataError(
                    "not_a_table",
                    f"{path}: read as {file_format}, in which a record is a whole sequence; "
                    f"input.group_by expects {formats.tables()}",
                )
            files.append(
                File(
                    path=path,
                    name=names[path],
                    index=len(files),
                    format=file_format,
                    split=split,
                    span=matched.span_of.get(path),
                    fields=matched.fields.get(path, {}),
                )
            )
    return files


def make(options: InputOptions, columns: Columns, unit_bytes: int) -> ReadPlan:
    """Find the files, look at their beginnings and assign them to units.

    Args:
      options: the options of the input.
      columns: the columns that raw files must hold.
      unit_bytes: the bytes that a unit reads, about.

    Raises:
      BadDataError: no file, an unknown format, a bad header, a missing column.
    """
    matches = find_files(options)
    files = list_files(matches, options)
    pieces = [
        piece
        for file in files
        for piece in formats.of(file.format).pieces(file, columns, options, unit_bytes)
    ]
    plan = ReadPlan(
        files=tuple(files),
        spans=next((matched.spans for matched in matches.values()), ()),
        missing=next((matched.missing for matched in matches.values()), ()),
        units=tuple(units.assign(pieces, unit_bytes)),
    )
    if plan.missing:
        _TOLD.warning("the window has no data of %s", ", ".join(plan.missing))
    for name, count in plan.formats.items():
        how = "by name or first bytes" if options.format == formats.AUTO else "by input.format"
        _LOG.info("%d files are read as %s, %s", count, name, how)
    return plan
