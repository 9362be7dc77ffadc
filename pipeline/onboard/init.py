"""`ragline init`: from a folder of files to a configuration and a schema that work as they are."""

import os
import pathlib
import re
from dataclasses import dataclass

from ragline.components.contract.errors import UsageError
from ragline.components.files.storage import write_text
from ragline.components.ingest.source import patterns
from ragline.pipeline.onboard import draft, guess, sniff
from ragline.pipeline.onboard.guess import Guess

_SUFFIX = ".toml"


class ExistsError(UsageError):
    """A file that would be overwritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was guessed, and where it stands.

    Attributes:
      config: the TOML file.
      schema: the .pbtxt file beside it.
      format: of the raw files.
      files: how many there are.
      guess: what the columns mean, and why.
    """

    config: pathlib.Path
    schema: pathlib.Path
    format: str
    files: int
    guess: Guess

    def to_text(self) -> str:
        """For a person: what was guessed, why, and what to do next."""
        lists = {
            "features": [*self.guess.features],
            "categories": [*self.guess.categories],
            "context": [context.name for context in self.guess.context],
        }
        return "\n".join(
            [
                f"{self.files} {'file' if self.files == 1 else 'files'} of format {self.format}",
                *(f"  {kind}: {', '.join(names)}" for kind, names in lists.items() if names),
                *(f"  {sentence}" for sentence in self.guess.why),
                "",
                f"config  {self.config}",
                f"schema  {self.schema}",
                f"next    ragline plan {self.config}",
            ]
        )


def write(pattern: str, output: pathlib.Path) -> Written:
    """Guesses what the columns of the files mean, and writes both files.

    Args:
      pattern: of the raw files, relative to the current folder.
      output: the TOML file; the schema stands beside it, with the suffix .pbtxt.

    Raises:
      ExistsError: one of the files is there already; nothing was written.
      BadDataError: no file, or one that cannot be read.
      GuessError: the files do not say enough.
      OSError: the folder cannot be written to.
    """
    output = output if output.suffix == _SUFFIX else output.with_name(output.name + _SUFFIX)
    schema = output.with_suffix(".pbtxt")
    for path in (output, schema):
        if path.exists():
            raise ExistsError(f"{path}: is there already; expected a new name by --output")
    found = patterns.match(pattern)
    sniffed = sniff.sniff(found.paths)
    table = not sniffed.number
    meaning = (
        guess.guess_table(sniffed.steps, sniffed.files)
        if table
        else guess.guess_records(sniffed.steps, sniffed.records, sniffed.number)
    )
    text = draft.config_text(
        meaning,
        name=name_of(found.folder),
        pattern=_relative(pattern, output.parent),
        schema=schema.name,
        missing_text=sniffed.missing_text,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(schema, draft.schema_text(meaning, complete=sniffed.complete))
    write_text(output, text)
    return Written(
        config=output, schema=schema, format=sniffed.format, files=len(found.paths), guess=meaning
    )


def name_of(folder: str) -> str:
    """A pipeline's name from its data's folder: letters, digits, `-` and `_`."""
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", os.path.basename(folder)).strip("-")
    return words if re.search(r"[A-Za-z0-9]", words) else "sequences"


def _relative(pattern: str, folder: pathlib.Path) -> str:
    if "://" in pattern or os.path.isabs(pattern):
        return pattern
    return os.path.relpath(pattern, folder or os.curdir)
