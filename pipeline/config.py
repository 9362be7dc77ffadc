"""Read a TOML configuration into frozen dataclasses, and refuse every mistake, with its key.

It takes a second at most: nothing here imports TensorFlow, Beam or TFX. Pydantic checks types,
strictly (no text is taken for a number); each dataclass checks its values, once the types of its
table are right. A relative path in a file is relative to that file, on the command line to the
current folder.
"""

import copy
import dataclasses
import datetime
import json
import os
import pathlib
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pydantic
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract.columns import TIME_DELTA, Columns
from ragline.components.contract.errors import UsageError
from ragline.components.contract.keep import KeepOptions
from ragline.components.contract.signatures import collisions, legal
from ragline.components.evaluate.verdict.rules import Rules, find_unknown_names
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.push.options import PushOptions
from ragline.components.runtime.beam_options import BeamOptions
from ragline.components.train import padding, terms
from ragline.components.train.options import PRESETS, HeadOptions, TrainOptions, TuneOptions
from ragline.components.validate.options import DriftOptions


class ConfigError(UsageError):
    """Says why a configuration cannot be run."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration.

    Attributes:
      name: name of the pipeline: letters, digits, `-` and `_`.
      schema: name of a schema in `schemas/`, or the path of a .pbtxt file.
      workdir: local folder where a run keeps all that it writes.
      input: raw files, and how they are read.
      quarantine: limits on the records that cannot be used.
      drift: limits on the drift of the newest span from those before it.
      train: model and its training.
      tune: search for better options of training, before it.
      heads: supervised outputs on the embedding, for sequences that have a label; none are needed.
      push: versions that are served.
      keep: how much of earlier runs is kept.
      beam: engine that runs the Beam parts.
    """

    name: str
    schema: str
    workdir: str
    input: InputOptions
    quarantine: QuarantineOptions = dataclasses.field(default_factory=QuarantineOptions)
    drift: DriftOptions = dataclasses.field(default_factory=DriftOptions)
    train: TrainOptions = dataclasses.field(default_factory=TrainOptions)
    tune: TuneOptions = dataclasses.field(default_factory=TuneOptions)
    heads: tuple[HeadOptions, ...] = ()
    push: PushOptions = dataclasses.field(default_factory=PushOptions)
    keep: KeepOptions = dataclasses.field(default_factory=KeepOptions)
    beam: BeamOptions = dataclasses.field(default_factory=BeamOptions)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = []
        bare = self.name.replace("-", "").replace("_", "")
        if not (bare.isascii() and bare.isalnum()):
            mistakes.append(f"name: expected letters, digits, '-' and '_', received {self.name!r}")
        if not self.workdir or "://" in self.workdir:
            mistakes.append(f"workdir: expected a local folder, received {self.workdir!r}")
        names = [head.name for head in self.heads]
        if len(set(names)) < len(names):
            mistakes.append(f"heads: expected each name once, received {', '.join(names)}")
        mistakes += [
            f"heads: the encoder would have two outputs {legal(name)!r}, of {earlier!r} and of "
            f"{name!r}; expected names that differ in their letters and digits"
            for name, earlier in collisions(names)
        ]
        if mistakes:
            raise ValueError("\n".join(mistakes))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The tables of a configuration that are about reading raw files; see `Config`."""

    input: InputOptions
    quarantine: QuarantineOptions = dataclasses.field(default_factory=QuarantineOptions)
    beam: BeamOptions = dataclasses.field(default_factory=BeamOptions)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A configuration's schema and the file of rules beside it, read once.

    Attributes:
      file_name: name of the schema's file.
      text: content of that file.
      schema: what the text says.
      columns: columns that the schema describes.
      rules: rules that bless a model: those of the file beside the schema, or the defaults.
    """

    file_name: str
    text: str
    schema: schema_pb2.Schema
    columns: Columns
    rules: Rules


_Table = typing.TypeVar("_Table")
# Former name of a key -> its name now.
RENAMED = {
    "train.micro_batches": "train.gradient_accumulation_steps",
    "train.cell": "train.encoder",
}
_PATHS = (("workdir",), ("input", "train"), ("input", "eval"))


def load(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    workdir: str | None = None,
) -> Config:
    """Read a configuration.

    Args:
      path: path of a TOML file.
      overrides: assignments, such as `train.epochs=5`; the value is TOML, or text.
      workdir: work directory in place of the file's `workdir`.

    Raises:
      ConfigError: one line a mistake, each with file, key, what was expected and received.
    """
    path = pathlib.Path(path)
    document = _read(path)
    _resolve_paths(document, path.resolve().parent)
    overriding = _merge_all(overrides)
    if workdir is not None:
        overriding["workdir"] = workdir
    _resolve_paths(overriding, pathlib.Path.cwd())
    _merge(document, overriding)
    _fill_from_preset(document)
    config = _validate(path, document, Config)
    try:
        columns = _read_contract(config).columns
    except (schemas.SchemaError, OSError) as error:
        raise ConfigError(f"{path}: schema: {error}") from error
    if lines := [f"{path}: {line}" for line in _unfit(config, columns)]:
        raise ConfigError("\n".join(lines))
    return config


def load_reading(
    pattern: str, overrides: Iterable[str] = (), stated: Mapping[str, Any] | None = None
) -> Reading:
    """Return how to read raw files, as an encoder states it and the command line says.

    Args:
      pattern: the pattern of the files.
      overrides: `key=value` each, such as `input.format=csv`; they come before what is stated.
      stated: keys of `[input]` with their values.

    Raises:
      ConfigError: one line a mistake, each with key, what was expected and received.
    """
    document: dict[str, Any] = {"input": copy.deepcopy(dict(stated or {}))}
    _merge(document, _merge_all(overrides))
    _merge(document, {"input": {"train": pattern}})
    _resolve_paths(document, pathlib.Path.cwd())
    return _validate("--set", document, Reading)


def absolute(path: str) -> str:
    """Return a path or pattern of the command line as an absolute one."""
    return _absolute(path, pathlib.Path.cwd())


def read_contract(config: Config) -> Contract:
    """Read what the schema and the file of rules beside it say now.

    Raises:
      ConfigError: one line a mistake, each with file, key, what was expected and received.
    """
    try:
        return _read_contract(config)
    except (schemas.SchemaError, OSError) as error:
        raise ConfigError(f"schema: {error}") from error


def _read_contract(config: Config) -> Contract:
    file, rules_file = schemas.locate(config.schema), schemas.verdict_file(config.schema)
    text, schema = schemas.read(file)
    columns = Columns.from_schema(schema)
    rules = Rules()
    if rules_file is not None:
        rules = _validate(rules_file, _read(rules_file), Rules)
        heads = [(head.name, head.type) for head in config.heads]
        unknown = find_unknown_names(rules, columns, heads)
        if lines := [f"{rules_file}: {line}" for line in unknown]:
            raise ConfigError("\n".join(lines))
    return Contract(file_name=file.name, text=text, schema=schema, columns=columns, rules=rules)


def to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data, without None, since TOML has no null."""

    def plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if value is not None}

    return dataclasses.asdict(config, dict_factory=plain)


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:  # Not TOML, or TOML without an end.
        raise ConfigError(f"{path}: {error}") from error


def _merge_all(overrides: Iterable[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for override in overrides:
        _merge(merged, _assignment(override))
    return merged


def _assignment(override: str) -> dict[str, Any]:
    """Return `train.epochs=5` as tables: `{"train": {"epochs": 5}}`."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set: expected key=value, received {override!r}")
    try:
        [value] = tomllib.loads(f"value = {text}").values()
    except (ValueError, RecursionError):  # Not TOML, or more than a value.
        value = text
    if isinstance(value, datetime.date | datetime.time):  # No key takes one; a path may look so.
        value = text
    *tables, last = key.split(".")
    tree = {last: value}
    for table in reversed(tables):
        tree = {table: tree}
    return tree


def _merge(document: dict[str, Any], overriding: Mapping[str, Any]) -> None:
    for key, value in overriding.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value)
        else:
            document[key] = value


def _fill_from_preset(document: dict[str, Any]) -> None:
    """Take the values of the preset for keys that are not given."""
    table = document.get("train")
    preset = table.get("preset") if isinstance(table, dict) else None
    if isinstance(preset, str):  # Any other type is reported later, with all mistakes.
        document["train"] = PRESETS.get(preset, {}) | document["train"]


def _resolve_paths(document: dict[str, Any], folder: pathlib.Path) -> None:
    for *tables, key in _PATHS:
        table: Any = document
        for name in tables:
            table = table.get(name) if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
            table[key] = _absolute(table[key], folder)
    schema = document.get("schema")
    if isinstance(schema, str) and schema.endswith(".pbtxt"):
        document["schema"] = _absolute(schema, folder)


def _absolute(path: str, folder: pathlib.Path) -> str:
    return path if "://" in path else os.path.normpath(folder / path)


def _validate(path: pathlib.Path | str, document: dict[str, Any], table: type[_Table]) -> _Table:
    try:
        # As JSON, because only there does pydantic's strict mode take a list for a tuple. JSON has
        # no dates, and no key takes one: a table replaces it, which no key takes either.
        text = json.dumps(document, default=lambda date: {"date": str(date)})
        return pydantic.TypeAdapter(table).validate_json(text)
    except pydantic.ValidationError as error:
        lines = [f"{path}: {line}" for mistake in error.errors() for line in _lines(mistake, table)]
        raise ConfigError("\n".join(lines)) from error
    except (ValueError, RecursionError) as error:  # From json: a number or a table without an end.
        raise ConfigError(f"{path}: {error}") from error


def _lines(mistake: Any, table: type) -> list[str]:
    key = ".".join(str(part) for part in mistake["loc"])
    match mistake["type"]:
        case "missing":
            return [f"{key}: expected a value, received none"]
        case "unexpected_keyword_argument" if key in RENAMED:
            return [f"{key}: unknown key; it is named {RENAMED[key]} now"]
        case "unexpected_keyword_argument":
            keys = _keys_beside(mistake["loc"], table)
            return [f"{key}: unknown key; expected one of {', '.join(keys)}"]
        case "value_error":  # From a __post_init__, whose message names the keys.
            prefix = f"{key}." if key else ""
            return [f"{prefix}{line}" for line in str(mistake["ctx"]["error"]).split("\n")]
        case "json_invalid":  # Text that is not Unicode, or tables that are too deep.
            return [str(mistake["ctx"]["error"])]
    expected = mistake["msg"].removeprefix("Input should be ")
    for json_word, toml_word in (("an object", "a table"), ("a valid array", "a list")):
        expected = expected.replace(json_word, toml_word)
    return [f"{key}: expected {expected}, received {mistake['input']!r}"]


def _unfit(config: Config, columns: Columns) -> Iterator[str]:
    """Yield what the columns of the schema do not allow."""
    if config.input.steps.time_delta and TIME_DELTA not in columns.names:
        yield (
            f"input.steps.time_delta: expected a FLOAT feature {TIME_DELTA!r} with a ragged_tensor "
            "representation in the schema, received none"
        )
    strategy = padding.of(config.train.padding)
    for mistake in strategy.mistakes_of_categories([each.name for each in columns.categories]):
        yield f"train.{mistake}"
    for place, head in enumerate(config.heads):
        learnable = [
            name
            for name, kind in columns.context.items()
            if terms.TERMS[head.type].learns_text or kind != "bytes"
        ]
        if head.column not in learnable:
            yield (
                f"heads.{place}.column: expected a context column of the schema that a {head.type} "
                f"can learn ({', '.join(learnable) or 'it has none'}), received {head.column!r}"
            )


def _keys_beside(location: tuple[str | int, ...], table: Any) -> list[str]:
    for part in location[:-1]:
        if isinstance(part, int):  # An index in a list of tables.
            table = typing.get_args(table)[0]
        else:
            table = next(field.type for field in dataclasses.fields(table) if field.name == part)
    return [field.name for field in dataclasses.fields(table)]
