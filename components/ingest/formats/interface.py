"""Define what a format of raw files is: one class, by which every command reads its files.

`ragline init` takes `sample`; `ragline plan`, a run and `ragline encode` take `pieces`, and `read`
or `rows`; all by one parser. A class has no state: a worker makes one from the format's name. It
stands in the table of the package, `formats/__init__.py`, or in that of another distribution, of
which docs/extending.md has an example. An `ObjectFormat` has to cut and decode, and nothing else.
"""

import abc
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.parsing import events, objects
from ragline.components.ingest.formats.parsing.objects import Decoded
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Part, Piece, Rows
from ragline.components.ingest.samples import nested
from ragline.components.ingest.samples.sample import RANGES, SAMPLE_BYTES, Sample, spread

_MOST_RECORDS = 200_000
_NO_COLUMNS = Columns(features=(), context={})


@dataclass(frozen=True, slots=True)
class Use:
    """States a row of the table of formats in docs/ingest.md.

    Attributes:
      files: what a person has, in words, suffixes among them.
      record: what of it is a record.
      needs: the keys of `[input]` that it needs.
    """

    files: str
    record: str
    needs: str = ""


class Format(abc.ABC):
    """Reads the files of one format.

    Attributes:
      uses: what is read by it, for docs/ingest.md.
      suffixes: the endings of names that say it, in small letters, without that of a compression.
      is_line_based: whether a beginning of a file, cut after a line, is a file of the format.
    """

    uses: ClassVar[tuple[Use, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = ()
    is_line_based: ClassVar[bool] = False

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether a file whose name says nothing is of this format.

        Args:
          path: the file.
          beginning: its first 64 KiB, decompressed.
        """
        return False

    @abc.abstractmethod
    def sample(self, paths: Sequence[str]) -> Sample:
        """Read columns of cells of files, from all over them, as far as a sample goes.

        Raises:
          BadDataError: a file cannot be read, or says nothing of its columns.
        """

    @abc.abstractmethod
    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Check a file's beginning, and cut the file into ranges that can be read apart.

        Raises:
          BadDataError: the file as a whole cannot be used; the sentence names it.
        """

    @abc.abstractmethod
    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the records of a piece, each a sequence, in order: in a Chunk, or rejected.

        Raises:
          BadDataError: the file as a whole cannot be used; the sentence names it.
        """

    def rows(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
        """Read the rows of a piece, each a step, in order: in Rows, or rejected.

        Raises:
          BadDataError: the file as a whole cannot be used; the sentence names it.
        """
        raise NotImplementedError(f"{type(self).__name__}: a row is no step")

    @property
    def is_table(self) -> bool:
        """Return whether a row can be a step, so that `input.group_by` applies."""
        return type(self).rows is not Format.rows


class ObjectFormat(Format):
    """Reads files whose records decode to objects, which mean what those of JSON Lines mean.

    Steps are lists under the names of columns, in the object or in `features` in it, or a list of
    objects; with `input.group_by`, an object is a step.
    """

    @abc.abstractmethod
    def decode(self, piece: Piece, columns: Columns | None) -> Iterator[Decoded]:
        """Yield (number, object, text) of each record of a piece, in order.

        The number is the record's place in its file, as in `Piece.first`. A RejectedRecord stands
        in place of an object that cannot be decoded. The text is shown in the quarantine; None
        shows the object as JSON.

        Args:
          piece: a piece of a file.
          columns: the columns of the schema, None where there is none yet.

        Raises:
          BadDataError: the file as a whole cannot be used; the sentence names it.
        """

    def sample(self, paths: Sequence[str]) -> Sample:
        """Decode the objects of pieces from all over each file.

        Raises:
          BadDataError: as `pieces` and `decode`; `no_data`, no object can be decoded.
        """
        values: list[object] = []
        counts: list[int] = []
        complete = True
        most = SAMPLE_BYTES // len(paths)
        for path in paths:
            file = File(path=path, name=path, index=0, format="", split=None)
            options = InputOptions(train=path)
            pieces = self.pieces(file, _NO_COLUMNS, options, max(1, most // RANGES))
            share = most / max(1, sum(piece.size for piece in pieces))
            chosen = spread(len(pieces), math.ceil(share * len(pieces)))
            decoded = (
                value for place in chosen for _, value, _ in self.decode(pieces[place], None)
            )
            of_file = [*itertools.islice(decoded, _MOST_RECORDS // len(paths))]
            complete &= len(chosen) == len(pieces) and next(decoded, None) is None
            counts.append(sum(isinstance(value, dict) for value in of_file))
            values += of_file
        records = [value for value in values if isinstance(value, dict)]
        if not records:
            reasons = [f": {value}" for value in values[:1] if isinstance(value, RejectedRecord)]
            sentence = f"{paths[0]}: expected at least one record, received none"
            raise BadDataError("no_data", sentence + "".join(reasons))
        return nested.sample_of(records, paths, counts, complete=complete)

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Convert the objects of a piece, each to a sequence."""
        results = objects.results_of(self.decode(piece, columns), columns, options)
        return objects.parts_of(results, columns)

    def rows(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
        """Convert the objects of a piece, each to a step."""

        def is_whole() -> bool:
            [whole] = self.pieces(piece.file, columns, options, sys.maxsize)
            return (whole.start, whole.stop) == (piece.start, piece.stop)

        blocks = events.in_blocks(self.decode(piece, columns))
        return events.rows(piece, columns, options, blocks, is_whole=is_whole)
