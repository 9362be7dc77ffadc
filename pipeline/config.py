"""Read a TOML configuration into frozen dataclasses, and refuse every mistake, with its key.

It takes a second at most: nothing here imports TensorFlow, Beam or TFX. A relative path in a file
is relative to that file, on the command line to the current folder.
"""

import copy
import dataclasses
import datetime
import os
import pathlib
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract import kinds
from ragline.components.contract.columns import DERIVED, Columns
from ragline.components.contract.errors import UsageError
from ragline.components.contract.keep import KeepOptions
from ragline.components.contract.suggestions import did_you_mean
from ragline.components.evaluate.verdict.rules import Rules, find_unknown_names
from ragline.components.files import places, tables
from ragline.components.files.tables import TableError
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.push.options import PushOptions
from ragline.components.runtime.beam_options import BeamOptions
from ragline.components.train import padding, terms
from ragline.components.train.options import (
    PRESETS,
    HeadOptions,
    TermOptions,
    TrainOptions,
    TuneOptions,
    mistakes_of_objective,
)
from ragline.components.validate import features
from ragline.components.validate.features import FeatureOptions
from ragline.components.validate.options import DriftOptions

FILE = "ragline.toml"


class ConfigError(UsageError):
    """Says why a configuration cannot be run."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Holds a whole configuration.

    Attributes:
      name: name of the pipeline: letters, digits, `-` and `_`.
      workdir: local folder where a run keeps all that it writes.
      input: raw files, and how they are read.
      records: folder in a store of objects (`s3://bucket/folder`, `gs://...`) that gets the raw and
        the transformed records of each run; unset, they are in `workdir`.
      schema: name of a schema in `schemas/`, or the path of a .pbtxt file; or else `[features]`.
      verdict: path of the rules that bless a model; unset, `<name>.verdict.toml` beside the schema,
        or beside a configuration of that name with `[features]`; else the defaults hold.
      features: columns of the data, in place of a schema.
      quarantine: limits on the records that cannot be used.
      drift: limits on the drift of the newest span from those before it.
      train: model and its training.
      tune: search for better options of training, before it.
      heads: supervised outputs on the embedding, for sequences that have a label; none are needed.
      terms: further terms of the objective, of ragline or of other packages, which need no label.
      push: versions that are served.
      keep: how much of earlier runs is kept.
      beam: engine that runs the Beam parts.
    """

    name: str
    workdir: str
    input: InputOptions
    records: str | None = None
    schema: str | None = None
    verdict: str | None = None
    features: Mapping[str, FeatureOptions] = dataclasses.field(default_factory=dict)
    quarantine: QuarantineOptions = dataclasses.field(default_factory=QuarantineOptions)
    drift: DriftOptions = dataclasses.field(default_factory=DriftOptions)
    train: TrainOptions = dataclasses.field(default_factory=TrainOptions)
    tune: TuneOptions = dataclasses.field(default_factory=TuneOptions)
    heads: tuple[HeadOptions, ...] = ()
    terms: tuple[TermOptions, ...] = ()
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
        if self.records is not None and not places.is_folder_in_store(self.records):
            mistakes.append(
                "records: expected a folder in a store of objects, such as s3://bucket/folder, "
                f"received {self.records!r}; without it, records are in workdir"
            )
        mistakes += features.mistakes(self.features)
        if self.schema is None and not self.features:
            mistakes.append(
                "schema: expected a value, received none: the name of a schema, a .pbtxt file, or "
                "a table [features] in its place, as `ragline init` writes it"
            )
        if self.schema is not None and self.features:
            mistakes.append("schema: expected it or [features], received both")
        mistakes += mistakes_of_objective(self.heads, self.terms, self.train)
        if mistakes:
            raise ValueError("\n".join(mistakes))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Holds the tables of a configuration that are about reading raw files; see `Config`."""

    input: InputOptions
    quarantine: QuarantineOptions = dataclasses.field(default_factory=QuarantineOptions)
    beam: BeamOptions = dataclasses.field(default_factory=BeamOptions)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Holds a configuration's schema and the file of rules beside it, read once.

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
_PATHS = (("workdir",), ("verdict",), ("input", "train"), ("input", "eval"))


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
    path = file_of(path)
    try:
        document = _read(path)
    except ConfigError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise ConfigError(f"{error}; `ragline init DATA` writes a configuration") from error
    _resolve_paths(document, path.resolve().parent)
    overriding = _merge_all(overrides)
    if workdir is not None:
        overriding["workdir"] = workdir
    _resolve_paths(overriding, pathlib.Path.cwd())
    tables.merge(document, overriding)
    _fill_from_preset(document)
    _fill_from_features(document, path)
    config = _validate(path, document, Config)
    if config.verdict is not None and not os.path.isfile(config.verdict):
        raise ConfigError(f"{path}: verdict: expected a file, received {config.verdict!r}")
    try:
        columns = _read_contract(config).columns
    except (schemas.SchemaError, OSError) as error:
        key = "features" if config.features else "schema"
        raise ConfigError(f"{path}: {key}: {error}") from error
    if lines := [f"{path}: {line}" for line in _unfit(config, columns)]:
        raise ConfigError("\n".join(lines))
    return config


def is_configuration(path: pathlib.Path) -> bool:
    """Return whether a path is a configuration, or a folder with one."""
    return path.suffix == ".toml" or (path / FILE).is_file()


def file_of(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return the file of a configuration; of a folder, the `ragline.toml` in it.

    Raises:
      ConfigError: the folder has none.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return path
    if not (path / FILE).is_file():
        raise ConfigError(
            f"{path}: expected a TOML file, or a folder with a {FILE} in it; `ragline init` writes "
            "one"
        )
    return path / FILE


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
    tables.merge(document, _merge_all(overrides))
    tables.merge(document, {"input": {"train": pattern}})
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
    if config.schema is None:
        file_name, schema = "features.pbtxt", features.to_schema(config.features)
        text, rules_file = text_format.MessageToString(schema, as_utf8=True), None
    else:
        file, rules_file = schemas.locate(config.schema), schemas.verdict_file(config.schema)
        file_name, (text, schema) = file.name, schemas.read(file)
    if config.verdict is not None:
        rules_file = pathlib.Path(config.verdict)
    columns = Columns.from_schema(schema)
    rules = Rules()
    if rules_file is not None:
        rules = _validate(rules_file, _read(rules_file), Rules)
        heads = [(head.name, head.type) for head in config.heads]
        unknown = find_unknown_names(rules, columns, heads, terms.measured(config.terms))
        if lines := [f"{rules_file}: {line}" for line in unknown]:
            raise ConfigError("\n".join(lines))
    return Contract(file_name=file_name, text=text, schema=schema, columns=columns, rules=rules)


def to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data, without None, since TOML has no null."""

    def plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if value is not None}

    return dataclasses.asdict(config, dict_factory=plain)


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        return tables.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8: {error}") from error
    except ValueError as error:  # No TOML, or a path that is none.
        raise ConfigError(f"{path}: {error}") from error


def _merge_all(overrides: Iterable[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for override in overrides:
        tables.merge(merged, _assignment(override))
    return merged


def _assignment(override: str) -> dict[str, Any]:
    """Return `train.epochs=5` as tables: `{"train": {"epochs": 5}}`."""
    key, equals, text = override.partition("=")
    key = key.strip()
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


def _fill_from_preset(document: dict[str, Any]) -> None:
    """Take the values of the preset for keys that are not given."""
    table = document.get("train")
    preset = table.get("preset") if isinstance(table, dict) else None
    if isinstance(preset, str):  # Any other type is reported later, with all mistakes.
        document["train"] = PRESETS.get(preset, {}) | document["train"]


def _fill_from_features(document: dict[str, Any], path: pathlib.Path) -> None:
    """Fill in what a table `[features]` implies: rules beside the file, and derived columns."""
    columns = document.get("features")
    if not isinstance(columns, dict):
        return
    beside = path.resolve().with_suffix(".verdict.toml")
    if beside.is_file():
        document.setdefault("verdict", str(beside))
    table = document.get("input")
    for name in DERIVED:
        column = columns.get(name)
        if isinstance(column, dict) and column.get("derived") and isinstance(table, dict):
            steps = table.setdefault("steps", {})
            if isinstance(steps, dict):
                steps.setdefault(name, True)


def _resolve_paths(document: dict[str, Any], folder: pathlib.Path) -> None:
    for *above, key in _PATHS:
        table: Any = document
        for name in above:
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
        return tables.check(document, table, RENAMED)
    except TableError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in error.lines)) from error


def _unfit(config: Config, columns: Columns) -> Iterator[str]:
    """Yield what the columns of the schema do not allow."""
    for name in config.input.steps.derived:
        if name not in columns.names:
            yield (
                f"input.steps.{name}: expected a FLOAT feature {name!r} with a ragged_tensor "
                f"representation in the schema, or a line {name} in [features], received none"
            )
    strategy = padding.of(config.train.padding)
    for mistake in strategy.mistakes_of_categories([each.name for each in columns.categories]):
        yield f"train.{mistake}"
    for place, head in enumerate(config.heads):
        learnable = [
            name
            for name, kind in columns.context.items()
            if terms.head_type(head.type).learns_text or not kinds.is_text(kind)
        ]
        if head.column not in learnable:
            yield (
                f"heads.{place}.column: expected a context column of the schema that a {head.type} "
                f"can learn ({', '.join(learnable) or 'it has none'}), received {head.column!r}"
                f"{did_you_mean(head.column, learnable)}"
            )
