"""Writes config.md beside this file: every key of a configuration, with its type and default.

Nothing is said twice: keys, types and defaults come from the dataclasses, what they mean from the
`Attributes:` of their docstrings. Run `python docs/generate_config.py` after an edit of either;
tests/test_docs.py fails until then.
"""

import dataclasses
import inspect
import json
import pathlib
import re
import types
import typing
from collections.abc import Iterator

from pipeline.config import Config

PAGE = pathlib.Path(__file__).with_name("config.md")

_HEAD = """\
<!-- Written by docs/generate_config.py; edit the docstrings it reads, not this page. -->

# Configuration

A configuration is one TOML file. The smallest one:

```toml
name = "gestures"
schema = "gestures"
workdir = "run"

[input]
train = "data/*.jsonl"
```

- A relative path in the file is relative to the file; one on the command line, to the folder the
  command runs in. A path with `://` stays as it is.
- `ragline run CONFIG --set KEY=VALUE` replaces a value, such as `--set train.epochs=5`. The value
  is TOML; what is no TOML is text, so that `--set train.strategy=one` needs no quotes.
- `--workdir DIR` replaces `workdir`.
- Every mistake is refused before anything runs, with exit code 2 and one line: the file, the key,
  what was expected and what was received. Types are strict: `"5"` and `5.0` are no integers.
- A run keeps the configuration as it was resolved, in `runs/<run id>/config.toml`.
"""

_WORDS = {str: "text", int: "integer", float: "number", bool: "true or false"}


def render(config: type = Config) -> str:
    """The whole page."""
    parts = [_HEAD, "## Top level", "\n".join(rows(config)), *_tables(config)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _tables(of: type, above: str = "") -> Iterator[str]:
    """The sections of the tables in a table, each followed by those in it."""
    meanings = attributes(of)
    for field in dataclasses.fields(of):
        if table := _table(field.type):
            key = f"{above}{field.name}"
            title = f"[{key}]" if table is field.type else f"[[{key}]]"
            meaning = meanings[field.name].rstrip(".")
            yield f"## `{title}`: {meaning}"
            yield "\n".join(rows(table))
            yield from _tables(table, f"{key}.")


def rows(table: type) -> Iterator[str]:
    """A Markdown table of a dataclass: a row for each field that is no table itself."""
    meanings = attributes(table)
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for field in dataclasses.fields(table):
        if not _table(field.type):
            cells = (f"`{field.name}`", _kind(field.type), _default(field), meanings[field.name])
            escaped = (cell.replace("|", r"\|") for cell in cells)
            yield f"| {' | '.join(escaped)} |"


def attributes(table: type) -> dict[str, str]:
    """What the `Attributes:` of a dataclass's docstring say of each field.

    Raises:
      ValueError: if they are not exactly the fields.
    """
    _, _, section = inspect.cleandoc(table.__doc__ or "").partition("\nAttributes:\n")
    entries = re.findall(r"^  (\w+): (.*(?:\n {4,}.*)*)", section, re.MULTILINE)
    found = {name: " ".join(text.split()) for name, text in entries}
    fields = [field.name for field in dataclasses.fields(table)]
    if list(found) != fields:
        raise ValueError(f"{table.__name__}: expected attributes {fields}, received {list(found)}")
    return found


def _table(kind: typing.Any) -> type | None:
    """The dataclass of a table, or of each table in a list of them."""
    for candidate in (kind, *typing.get_args(kind)[:1]):
        if dataclasses.is_dataclass(candidate):
            return typing.cast(type, candidate)
    return None


def _kind(kind: typing.Any) -> str:
    """A field's type in words."""
    if kind in _WORDS:
        return _WORDS[kind]
    of = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Literal:
            return " or ".join(f"`{json.dumps(word)}`" for word in of)
        case types.UnionType if of[1:] == (type(None),):
            return _kind(of[0])
        case origin if origin is tuple and of[1:] == (...,):
            return f"list of {_kind(of[0])}"
    raise TypeError(f"expected a type that TOML has, received {kind}")


def _default(field: "dataclasses.Field[typing.Any]") -> str:
    """A field's default as TOML."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{json.dumps(field.default_factory())}`"
    if field.default is dataclasses.MISSING:
        return "required"
    return "unset" if field.default is None else f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
