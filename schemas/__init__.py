"""Find and read schemas: `<dataset>.pbtxt`, a TF Metadata Schema of the raw records.

`<dataset>.verdict.toml` beside it, if there is one, has the rules that bless a model of such data
(components/evaluate/verdict/rules.py).

A schema says which features a step has, in which order and unit, whether a value may be missing,
and which context columns a sequence may carry. It is written by `ragline init` once and kept by a
person; ragline never changes it.
"""

import os
import pathlib

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

FOLDER = pathlib.Path(__file__).parent


class SchemaError(ValueError):
    """Says why a schema cannot be used: it is missing, cannot be read, or is incomplete."""


def locate(name_or_path: str | os.PathLike[str]) -> pathlib.Path:
    """Return the file of a schema, given by its name here (`gestures`) or by a path.

    Raises:
      SchemaError: if there is no such file.
    """
    path = pathlib.Path(name_or_path)
    if path.suffix != ".pbtxt":
        path = FOLDER / f"{path}.pbtxt"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.pbtxt")))
        raise SchemaError(
            f"no schema {str(name_or_path)!r}: expected a .pbtxt file or one of: {known}"
        )
    return path


def verdict_file(name_or_path: str | os.PathLike[str]) -> pathlib.Path | None:
    """Return the file of rules beside a schema; None if there is none.

    Raises:
      SchemaError: if there is no such schema.
    """
    path = locate(name_or_path).with_suffix(".verdict.toml")
    return path if path.is_file() else None


def load(name_or_path: str | os.PathLike[str]) -> schema_pb2.Schema:
    """Read a schema; see `read`."""
    return read(locate(name_or_path))[1]


def read(path: pathlib.Path) -> tuple[str, schema_pb2.Schema]:
    """Read a schema's file: its text, and the schema.

    Raises:
      SchemaError: the file is no Schema text; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, text_format.Parse(text, schema_pb2.Schema())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path}: {error}") from error
