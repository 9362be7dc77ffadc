"""Write a configuration for a folder of files, for `ragline init`."""

import os
import pathlib
import re
from dataclasses import dataclass

from ragline.components.contract.errors import UsageError
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.files.storage import write_text
from ragline.components.ingest import formats, samples
from ragline.components.ingest.options import FILE, InputOptions
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import patterns
from ragline.pipeline.onboard import draft, guess, plan
from ragline.pipeline.onboard.guess import Guess, GuessError
from ragline.pipeline.onboard.guessing import files as names_of_files
from ragline.pipeline.onboard.guessing import scales
from ragline.pipeline.onboard.guessing.wishes import Wishes

_SUFFIX = ".toml"
_SHARE = InputOptions(train="x").eval_share


class ExistsError(UsageError):
    """Says which file would be overwritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """States which file `write` wrote, and the guess in it.

    Attributes:
      config: path of the TOML file.
      format: format of the raw files.
      files: number of raw files.
      sampled: how much of them was read, in words.
      guess: meaning of the columns, with reasons.
    """

    config: pathlib.Path
    format: str
    files: int
    sampled: str
    guess: Guess

    def to_text(self) -> str:
        """Return what was guessed, why, and what to do next, for a person."""
        lists = {
            "features": [*self.guess.features],
            "categories": [*self.guess.categories],
            "context": [context.name for context in self.guess.context],
            "not used": [*self.guess.unused],
        }
        return "\n".join(
            [
                f"{self.files} {'file' if self.files == 1 else 'files'} of format {self.format}; "
                f"looked at {self.sampled}",
                *(f"  {kind}: {', '.join(names)}" for kind, names in lists.items() if names),
                *(f"  {sentence}" for sentence in self.guess.why),
                *(f"  {name!r} is left out: {why}" for name, why in self.guess.unused.items()),
                "",
                f"config  {self.config}",
                f"next    ragline plan {self.config}",
            ]
        )


def write(
    pattern: str,
    output: pathlib.Path,
    format_name: str = formats.AUTO,
    *,
    name: str | None = None,
    wishes: Wishes = guess.NO_WISHES,
) -> Written:
    """Guess what the columns of the files mean, and write the configuration.

    Args:
      pattern: pattern of the raw files, relative to the current folder.
      output: the TOML file; its work directory is called after it.
      format_name: how the files are read; `auto` goes by their names and first bytes.
      name: name of the pipeline; None takes that of the files' folder.
      wishes: what a person says of columns.

    Raises:
      ExistsError: the file is there already; nothing was written.
      BadDataError: no file, or one that cannot be read.
      GuessError: the files do not say enough.
      OSError: the folder cannot be written to.
    """
    if name is not None and name != name_of(name):
        raise UsageError(
            f"--name: expected letters, digits, '-' and '_', received {name!r}; such as "
            f"{name_of(name)!r}"
        )
    output = output if output.suffix == _SUFFIX else output.with_name(output.name + _SUFFIX)
    if os.path.lexists(output):
        raise _exists(output)
    matched = patterns.match(pattern)
    sample = samples.take(matched.paths, format_name)
    sampled = describe_sample(sample)
    try:
        meaning, missing_text = _meaning(sample, sampled, wishes)
    except GuessError as error:
        lost = [f"{column!r} is left out: {why}" for column, why in sample.left_out.items()]
        raise GuessError("; ".join([str(error), *lost])) from error
    meaning.options |= sample.options
    if format_name != formats.AUTO:
        meaning.options["format"] = format_name
    pattern = _with_entity(meaning, pattern, matched.paths)
    for column, why in sample.left_out.items():
        meaning.leave_out(column, why)
    _suggest_share(meaning)
    text = draft.config_text(
        meaning,
        name=name_of(matched.folder) if name is None else name,
        workdir=f"{output.stem}-run",
        pattern=_relative(pattern, output.parent),
        missing_text=missing_text,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, text)
    return Written(
        config=output,
        format=sample.format,
        files=len(matched.paths),
        sampled=sampled,
        guess=meaning,
    )


def _exists(path: pathlib.Path) -> ExistsError:
    return ExistsError(f"{path}: is there already; expected a new name by --output")


def describe_sample(sample: Sample) -> str:
    """Return how much of the data a sample is, in words."""
    what = "rows" if sample.lengths is None else "records"
    if sample.complete:
        return f"all {sample.rows:,} {what}"
    files = len(sample.paths)
    of_files = f"{files:,} of {sample.files_in_all:,} files" if files < sample.files_in_all else ""
    where = of_files or (f"all {files:,} files" if files > 1 else "the file")
    return f"{sample.rows:,} {what} from all over {where}, not at all of them"


def _meaning(sample: Sample, sampled: str, wishes: Wishes) -> tuple[Guess, tuple[str, ...]]:
    is_text = sample.is_text
    steps = guess.columns_of(sample.steps, is_text=is_text)
    within = f"in {sampled.removesuffix(', not at all of them')}"
    if not sample.complete:
        within += " that were looked at"
    if sample.lengths is None:
        meaning = guess.guess_table(
            steps, sample.files, seen=within, complete=sample.complete, wishes=wishes
        )
        scales.choose(meaning, steps)
        return meaning, guess.missing_texts(meaning, steps) if is_text else ()
    records = guess.columns_of(sample.records, is_text=False)
    meaning = guess.guess_records(
        steps,
        records,
        sample.lengths,
        by_place=sample.by_place,
        seen=within,
        complete=sample.complete,
        wishes=wishes,
    )
    scales.choose(meaning, steps)
    return meaning, ()


def _suggest_share(meaning: Guess) -> None:
    """Suggest an eval_share where the default leaves too few sequences to evaluate by."""
    least = Rules().min_eval
    if not meaning.complete or meaning.sequences * _SHARE >= 1.3 * least:
        return
    if share := plan.share_for(meaning.sequences, least):
        meaning.options["eval_share"] = share
        meaning.why.append(
            f"eval_share {share:g}: of {meaning.sequences} sequences, so that at least {least} are "
            "evaluated by, as a model needs to be blessed"
        )
    else:
        meaning.why.append(
            f"{meaning.sequences} sequences are few: no model is blessed by fewer than {least} to "
            "evaluate by, unless a .verdict.toml beside the configuration says so (docs/verdict.md)"
        )


def _with_entity(meaning: Guess, pattern: str, paths: tuple[str, ...]) -> str:
    """Return the pattern, with a field for the entity where the files' names have one."""
    fields = patterns.fields(pattern)
    if meaning.entity is not None or (meaning.group_by and FILE not in meaning.group_by):
        return pattern
    if fields:
        meaning.entity = fields[0]
        meaning.why.append(
            f"entity {fields[0]!r}: the pattern's field; all its sequences fall in one split"
        )
        return pattern
    pattern_and_entity = names_of_files.with_fields(pattern, paths)
    if pattern_and_entity is None:
        return pattern
    pattern, meaning.entity = pattern_and_entity
    meaning.why.append(
        f"entity {meaning.entity!r}: files whose names have the same there, as in "
        f"{os.path.basename(pattern)}, fall in one split"
    )
    return pattern


def name_of(folder: str) -> str:
    """Return a pipeline's name, made of its data's folder: letters, digits, `-` and `_`."""
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", os.path.basename(folder)).strip("-")
    return words if re.search(r"[A-Za-z0-9]", words) else "sequences"


def _relative(pattern: str, folder: pathlib.Path) -> str:
    if "://" in pattern or os.path.isabs(pattern):
        return pattern
    return os.path.relpath(pattern, folder or os.curdir)
