"""One module a format, each with the functions of `Reader`; those of tables, of `TableReader`.

csv.py               long tables, a row a step
parquet.py           long tables, or a row a sequence with lists in its cells
jsonl.py             JSON Lines, a line a sequence
ts.py                the UEA/UCR archive's .ts
npz.py               NumPy archives; padded.py, arrays padded to one length
tfrecord.py          TFRecord of tf.Example in the raw contract
sequence_example.py  TFRecord of tf.SequenceExample
xes.py               event logs, a trace a sequence
events.py            JSON Lines of which a line is a step
objects.py           decoded JSON objects: what is nested in them
padded.py            padded arrays of a NumPy archive
beginnings.py        what a file's first bytes say, and what no reader takes
parsing/             cells, arrays and messages, for several of them
"""

import importlib
import os
import typing
from collections.abc import Iterator

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import beginnings
from ragline.components.ingest.options import FormatName, InputOptions
from ragline.components.ingest.records.chunk import File, Part, Piece, Rows
from ragline.components.ingest.source import framing, raw_files

_SUFFIXES: dict[str, FormatName] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".npz": "npz",
    ".parquet": "parquet",
    ".ts": "ts",
    ".xes": "xes",
}


class Reader(typing.Protocol):
    """What the module of a format offers; in it, a record is a sequence."""

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Looks at a file's beginning and cuts it into ranges that can be read apart.

        Raises:
          BadDataError: the file as a whole cannot be used; it is named.
        """

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """The records of a piece, in the file's order, every one of them in a Chunk or rejected.

        Raises:
          BadDataError: the file as a whole cannot be used; it is named.
        """


class TableReader(Reader, typing.Protocol):
    """What the module of a format offers in which a row may be a step."""

    def rows(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
        """The rows of a piece, in the file's order, every one of them in Rows or rejected.

        Raises:
          BadDataError: the file as a whole cannot be used; it is named.
        """


def of(format_name: str) -> Reader:
    """The reader of a format; its module is imported when it is needed."""
    return typing.cast(Reader, importlib.import_module(f"{__name__}.{format_name}"))


def of_table(format_name: str) -> TableReader:
    """The reader of a format in which a row may be a step."""
    return typing.cast(TableReader, of(format_name))


def guess(path: str) -> FormatName:
    """The format of a file by its name, or where that says nothing, by its first bytes.

    Raises:
      BadDataError: `unknown_format`, or bytes that no reader takes, whatever the name says;
        `no_data`, there are no bytes; or the file cannot be read.
    """
    stem = path.lower().removesuffix(raw_files.compression(path))
    named = _SUFFIXES.get(os.path.splitext(stem)[1])
    try:
        with raw_files.open(path) as file:
            beginning = file.read(beginnings.PEEKED)
    except BadDataError:
        if named:  # Its reader says what is wrong with it.
            return named
        raise
    beginnings.check(path, beginning, named)
    if named:
        return named
    if beginnings.is_framed(beginning):
        return _kind_of_records(path)
    if seen := beginnings.of(beginning):
        return seen
    raise BadDataError(
        "unknown_format",
        f"{path}: neither its name (expected one that ends in {', '.join(_SUFFIXES)}) nor its "
        "first bytes say how to read it; expected input.format in the configuration, or "
        "`ragline init --format`",
    )


def _kind_of_records(path: str) -> FormatName:
    import tensorflow as tf  # Seconds; needed for this alone.

    with raw_files.open(path) as file:
        _, record = next(framing.records(file, None, path))
    try:
        lists = tf.train.SequenceExample.FromString(record).feature_lists.feature_list
    except Exception:  # protobuf's DecodeError; an Example does parse, and has no lists.
        return "tfrecord"
    return "sequence_example" if lists else "tfrecord"
