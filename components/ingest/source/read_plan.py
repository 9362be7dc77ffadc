"""What a run will read: patterns -> files with their formats -> pieces -> units of work."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import digest_of
from ragline.components.ingest import formats as readers
from ragline.components.ingest.options import TABLES, InputOptions
from ragline.components.ingest.records.chunk import File
from ragline.components.ingest.source import patterns, raw_files, units
from ragline.components.ingest.source.patterns import Found
from ragline.components.ingest.source.units import Unit

_LOG = logging.getLogger(__name__)
_TOLD = logging.getLogger("ragline.ingest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The input of a run.

    Attributes:
      files: all files, those of train before those of eval.
      spans: the spans that they are of, oldest first.
      missing: spans that are missing between those, as `patterns` says.
      units: of work.
    """

    files: tuple[File, ...]
    spans: tuple[str, ...]
    missing: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def formats(self) -> dict[str, int]:
        """Format -> how many files have it."""
        return dict(Counter(file.format for file in self.files))


def find(options: InputOptions) -> dict[str | None, Found]:
    """Split, or None where files are split by their records -> what its pattern names.

    Raises:
      BadDataError: a pattern names no file, too few spans or a file outside its folder; or train
        and eval are of different spans.
    """
    of: dict[str | None, str] = {None: options.train}
    if options.eval is not None:
        of = dict(zip(SPLITS, (options.train, options.eval), strict=True))
    train, evaluation = SPLITS
    found = {
        split: patterns.match(
            pattern,
            spans=1 if split == evaluation else options.spans,
            newest=options.span,
            max_gap=options.max_gap,
            allow_outside=options.allow_outside,
        )
        for split, pattern in of.items()
    }
    newest = {each.spans[-1] for each in found.values() if each.spans}
    if len(newest) > 1:
        raise BadDataError(
            "span_mismatch",
            "expected the same newest span of train and eval, received "
            f"{found[train].spans[-1]} and {found[evaluation].spans[-1]}",
        )
    return found


def fingerprint(options: InputOptions) -> str:
    """Digest of the names and the content of all files of a run.

    Raises:
      BadDataError: as of `find`.
    """
    return digest_of(raw_files.fingerprint(each.paths) for each in find(options).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Files as they were when they were hashed, to be held against them once they are read.

    Attributes:
      options: of the input.
      stamps: path -> what changes whenever the file is touched.
    """

    options: InputOptions
    stamps: Mapping[str, raw_files.Stamp]

    def check(self, formats: Mapping[str, int]) -> None:
        """Holds that what was read is what was hashed: no file was touched, and none was added.

        Args:
          formats: of the plan that was read.

        Raises:
          BadDataError: `changed_input`.
        """
        raw_files.check_untouched(self.stamps)
        if sum(formats.values()) != len(self.stamps):
            raise _changed(self.options)


def watch(options: InputOptions, expected: str = "") -> Watched:
    """Begins to watch the files of a run, before they are hashed or read.

    Args:
      options: of the input.
      expected: the fingerprint that was taken earlier, if there is one to hold.

    Raises:
      BadDataError: as of `find`; `changed_input`, they are others by now.
    """
    paths = {path for each in find(options).values() for path in each.paths}
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


def files_of(found: Mapping[str | None, Found], options: InputOptions) -> list[File]:
    """The files that patterns name, each with its format.

    Raises:
      BadDataError: `unknown_format`; `not_a_table`, where rows are to be grouped.
    """
    names = patterns.names(found.values())
    every: list[File] = []
    for split, each in found.items():
        for path in each.paths:
            guessed = readers.guess(path) if options.format == "auto" else options.format
            if options.group_by and guessed not in TABLES:
                raise BadDataError(
                    "not_a_table",
                    f"{path}: read as {guessed}, in which a record is a whole sequence; "
                    f"input.group_by expects {' or '.join(TABLES)}",
                )
            every.append(
                File(
                    path=path,
                    name=names[path],
                    index=len(every),
                    format=guessed,
                    split=split,
                    span=each.span_of.get(path),
                    fields=each.fields.get(path, {}),
                )
            )
    return every


def make(options: InputOptions, columns: Columns, unit_bytes: int) -> Plan:
    """Finds the files, looks at their beginnings and deals them to units.

    Args:
      options: of the input.
      columns: what raw files must hold.
      unit_bytes: about how much a unit reads.

    Raises:
      BadDataError: no file, an unknown format, a bad header, a missing column.
    """
    found = find(options)
    every = files_of(found, options)
    pieces = [
        piece
        for file in every
        for piece in readers.of(file.format).pieces(file, columns, options, unit_bytes)
    ]
    plan = Plan(
        files=tuple(every),
        spans=next((each.spans for each in found.values()), ()),
        missing=next((each.missing for each in found.values()), ()),
        units=tuple(units.deal(pieces, unit_bytes)),
    )
    if plan.missing:
        _TOLD.warning("the window has no data of %s", ", ".join(plan.missing))
    for name, count in plan.formats.items():
        how = "by name or first bytes" if options.format == "auto" else "by input.format"
        _LOG.info("%d files are read as %s, %s", count, name, how)
    return plan
