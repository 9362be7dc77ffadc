"""Tests of the configuration: what is taken, and that every mistake is refused with its key."""

import copy
import dataclasses
import datetime
import importlib.metadata
import math
import os
import pathlib
import re
import shutil
import string
from collections.abc import Mapping
from typing import Annotated, Literal, get_args, get_origin

import pytest
import tomli_w
from conftest import ROOT
from google.protobuf import text_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from profiles import sampled
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract.keep import KeepOptions
from ragline.components.ingest.options import InputOptions, QuarantineOptions, StepOptions
from ragline.components.push.options import PushOptions
from ragline.components.train.options import HeadOptions, TermOptions, TrainOptions, TuneOptions
from ragline.components.validate.features import FeatureOptions
from ragline.components.validate.options import DriftOptions
from ragline.pipeline.config import RENAMED, BeamOptions, Config, ConfigError, load, to_dict

TABLES = {
    "": Config,
    "input": InputOptions,
    "input.steps": StepOptions,
    "quarantine": QuarantineOptions,
    "drift": DriftOptions,
    "train": TrainOptions,
    "tune": TuneOptions,
    "push": PushOptions,
    "keep": KeepOptions,
    "beam": BeamOptions,
}
FIELDS = {
    f"{table}.{field.name}".lstrip("."): field.type
    for table, of in TABLES.items()
    for field in dataclasses.fields(of)
}
KEYS = {
    table: ", ".join(field.name for field in dataclasses.fields(of)) for table, of in TABLES.items()
}
UNKNOWN = f"; this is ragline {importlib.metadata.version('ragline')}, which knows no such key"
EPOCHS = "; did you mean 'train.epochs'?"
SMALLEST = {"name": "n", "schema": "gestures", "workdir": "w", "input": {"train": "x"}}
# These exclude another key, or need a schema or a file of their own.
SHOWN_APART = {
    "input.eval_from",
    "input.steps.time_delta",
    "input.steps.hour_of_day",
    "input.steps.day_of_week",
    "features",
    "verdict",
    "input.id",
    "terms",  # tests/train/test_slices.py
}
FULL = {
    "name": "every-key_2",
    "schema": "japanese_vowels",
    "workdir": "/w",
    "records": "s3://bucket/records",
    "input": {
        "train": "/d/train-{SPAN}.csv",
        "eval": "/d/eval-{SPAN}.csv",
        "spans": 2,
        "max_gap": 3,
        "span": 7,
        "format": "csv",
        "group_by": ["patient", "stay"],
        "order_by": "at",
        "time_unit": "ns",
        "time_format": "%d.%m.%Y %H:%M",
        "time_zone": "Europe/Berlin",
        "date": "day",
        "variable": "item",
        "value": "result",
        "columns": ["patient", "stay", "day", "at", "item", "result"],
        "decimal": ",",
        "padding_value": 0.0,
        "entity": "patient",
        "delimiter": ";",
        "missing_text": ["", "NA"],
        "duplicate_id": "abort",
        "eval_share": 0.5,
        "allow_outside": True,
        "steps": {
            "unsorted_time": "reject",
            "duplicate_time": "merge",
            "negative_time": "reject",
            "session_gap": 60.5,
            "resample": 30.5,
            "max_length": 100,
            "too_long": "head",
            "stride": 50,
            "align": "end",
            "min_length": 2,
            "missing": "reject",
        },
    },
    "quarantine": {"max_share": 0.0},
    "drift": {"max_shift": 0.5, "max_spread": 2.0, "max_missing": 0.1},
    "train": {
        "preset": "large",
        "padding": "equal_length",
        "error": "huber",
        "average": "sequence",
        "encoder": "gru",
        "layers": 2,
        "bidirectional": True,
        "decoder": "teacher",
        "linear_steps": 16,
        "statistics": 0.5,
        "dropout": 0.25,
        "units": 8,
        "embedding_size": 3,
        "batch_size": 5,
        "gradient_accumulation_steps": 6,
        "updates": 700,
        "sample_steps": 2_000_000,
        "epochs": 7,
        "patience": 2,
        "learning_rate": 0.01,
        "averaging": 0.9,
        "clip_norm": 0.5,
        "precision": "bfloat16",
        "strategy": "mirrored",
        "seed": 2**31 - 1,
    },
    "tune": {"trials": 3, "held_out": 0.5},
    "heads": [
        {
            "name": "speaker",
            "column": "label",
            "type": "classification",
            "classes": ["1", "2"],
            "weight": 0.5,
        },
    ],
    "push": {"keep": 2},
    "keep": {"artifacts": 2, "reports": 3, "logs": 4, "quarantine": 0},
    "beam": {
        "runner": "PortableRunner",
        "options": ["--job_endpoint=embed", "--environment_type=LOOPBACK"],
    },
}


def _write(folder: pathlib.Path, content: dict | str | bytes) -> pathlib.Path:
    path = folder / "c.toml"
    text = tomli_w.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _with(key: str, value: object, document: dict = SMALLEST) -> dict:
    """A configuration with one key set, `input.format` say."""
    document = copy.deepcopy(document)
    *tables, last = key.split(".")
    table = document
    for name in tables:
        table = table.setdefault(name, {})
    table[last] = value
    return document


def _at(config: Config, key: str) -> object:
    found = config
    for name in key.split("."):
        found = getattr(found, name)
    return found


def _mistakes(path: pathlib.Path, *overrides: str) -> list[str]:
    """One line a mistake, without the file's name, which each must begin with."""
    with pytest.raises(ConfigError, match=re.escape(f"{path}: ")) as caught:
        load(path, overrides)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}: ") for line in lines), lines
    return [line.removeprefix(f"{path}: ") for line in lines]


@pytest.fixture
def smallest(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "home").mkdir()
    return _write(tmp_path / "home", SMALLEST)


@pytest.fixture
def elsewhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder the command runs in, which is not the file's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# What is taken.


def test_all_but_four_keys_have_a_default(smallest: pathlib.Path) -> None:
    folder, config = smallest.parent, load(smallest)
    assert config == Config(
        name="n",
        schema="gestures",
        workdir=str(folder / "w"),
        input=InputOptions(train=str(folder / "x")),
        train=TrainOptions(),
        push=PushOptions(),
        keep=KeepOptions(artifacts=31, reports=31, logs=31, quarantine=31),
        beam=BeamOptions(),
    )
    # Those that a run's meaning hangs on; docs/config.md lists them all.
    assert (config.input.eval, config.input.format) == (None, "auto")
    assert (config.input.eval_share, config.quarantine.max_share) == (0.2, 0.01)
    assert (config.train.precision, config.train.strategy) == ("float32", "auto")
    assert (config.train.epochs, config.train.updates, config.train.seed) == (0, 1000, 0)
    assert (config.beam.runner, config.beam.options) == ("DirectRunner", ())


def test_every_key_of_every_table_arrives(tmp_path: pathlib.Path, smallest: pathlib.Path) -> None:
    full, defaults = load(_write(tmp_path, FULL)), load(smallest)
    assert full == Config(
        name=FULL["name"],
        schema=FULL["schema"],
        workdir=FULL["workdir"],
        records=FULL["records"],
        input=InputOptions(
            **(
                FULL["input"]
                | {
                    name: tuple(FULL["input"][name])
                    for name in ("columns", "group_by", "missing_text")
                }
                | {"steps": StepOptions(**FULL["input"]["steps"])}
            )
        ),
        quarantine=QuarantineOptions(max_share=0.0),
        drift=DriftOptions(**FULL["drift"]),
        train=TrainOptions(**FULL["train"]),
        tune=TuneOptions(**FULL["tune"]),
        heads=(HeadOptions(**(FULL["heads"][0] | {"classes": ("1", "2")})),),
        push=PushOptions(**FULL["push"]),
        keep=KeepOptions(**FULL["keep"]),
        beam=BeamOptions(runner="PortableRunner", options=tuple(FULL["beam"]["options"])),
    )
    for key in FIELDS.keys() - SHOWN_APART:
        assert _at(full, key) != _at(defaults, key), f"FULL does not show {key}"


def test_a_preset_fills_what_is_not_given(tmp_path: pathlib.Path, smallest: pathlib.Path) -> None:
    base, small, large = (
        load(smallest, [f"train.preset={name}"]).train for name in ("base", "small", "large")
    )
    assert base == load(smallest).train
    assert (small.units, base.units, large.units) == (32, 64, 128)
    assert small.embedding_size < base.embedding_size < large.embedding_size
    document = SMALLEST | {"train": {"preset": "large", "units": 7}}
    given = load(_write(tmp_path, document), ["train.epochs=3"]).train
    assert (given.units, given.epochs, given.updates) == (7, 3, large.updates)


def test_a_time_to_split_by_stands_in_place_of_a_pattern(tmp_path: pathlib.Path) -> None:
    document = _with("input.order_by", "at", _with("input.eval_from", "2024-05-01"))
    assert load(_write(tmp_path, document)).input.eval_from == "2024-05-01"
    mistake = "input.eval_from: expected it without eval, which gives the split"
    assert _mistakes(_write(tmp_path, _with("input.eval", "y", document))) == [mistake]


def test_the_feature_that_ingest_fills_must_be_in_the_schema(tmp_path: pathlib.Path) -> None:
    document = _with("input.order_by", "at", _with("input.steps.time_delta", True))
    assert _mistakes(_write(tmp_path, document)) == [
        "input.steps.time_delta: expected a FLOAT feature 'time_delta' with a ragged_tensor "
        "representation in the schema, or a line time_delta in [features], received none"
    ]
    text = schemas.locate("gestures").read_text().replace('"gz"', '"time_delta"')
    (tmp_path / "s.pbtxt").write_text(text)
    assert load(_write(tmp_path, document | {"schema": "s.pbtxt"})).input.steps.time_delta


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_format": "%Q"}, "input.time_format: expected one of %Y"),
        ({"time_zone": "Mars/Base"}, "input.time_zone: expected a name such as Europe/Berlin"),
        ({"date": "day"}, "input.date: expected order_by with it"),
        ({"variable": "item"}, "input.variable, value: expected both or neither"),
        (
            {"variable": "item", "value": "v", "group_by": ["id"], "order_by": "t"},
            "input.variable: expected steps.duplicate_time = 'merge' with it",
        ),
        ({"columns": ["a", "a"]}, "input.columns: expected each name once"),
        ({"eval": "y/{m}.csv"}, "input.eval: expected the same fields as in train"),
    ],
)
def test_what_is_said_of_reading_must_fit(
    tmp_path: pathlib.Path, options: dict, message: str
) -> None:
    mistakes = _mistakes(_write(tmp_path, SMALLEST | {"input": {"train": "x"} | options}))
    assert any(mistake.startswith(message) for mistake in mistakes), mistakes


@pytest.mark.parametrize("suffix", ["toml", "pbtxt"])
def test_a_byte_order_mark_is_no_mistake(tmp_path: pathlib.Path, suffix: str) -> None:
    (tmp_path / "s.pbtxt").write_text(schemas.locate("gestures").read_text())
    path = _write(tmp_path, _with("schema", "s.pbtxt"))
    marked = path if suffix == "toml" else tmp_path / "s.pbtxt"
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    assert load(path).name == "n"


def test_the_examples_load() -> None:
    files = sorted((ROOT / "examples").glob("*.toml"))
    assert [load(file).name for file in files] == ["gestures", "japanese_vowels"]


def test_an_integer_is_taken_for_a_number_and_becomes_one(tmp_path: pathlib.Path) -> None:
    rate = load(_write(tmp_path, _with("train.learning_rate", 1))).train.learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.units", 1),
        ("train.embedding_size", 1),
        ("train.batch_size", 1),
        ("train.epochs", 1),
        ("train.patience", 1),
        ("train.seed", 0),
        ("train.seed", 2**31 - 1),
        ("train.learning_rate", math.ulp(0.0)),
        ("train.clip_norm", 1e308),
        ("input.eval_share", 1e-9),
        ("input.eval_share", 0.999),
        ("quarantine.max_share", 0.0),
        ("quarantine.max_share", 1.0),
        ("input.format", "jsonl"),
        ("train.strategy", "one"),
        ("name", "a"),
        ("name", "2024-05-27"),
        ("name", "_x-"),
    ],
)
def test_values_at_the_edge_are_taken(tmp_path: pathlib.Path, key: str, value: object) -> None:
    assert _at(load(_write(tmp_path, _with(key, value))), key) == value


def test_a_config_cannot_be_changed(smallest: pathlib.Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="epochs"):
        load(smallest).train.epochs = 3


@pytest.mark.parametrize("content", [SMALLEST, FULL], ids=["smallest", "full"])
def test_what_to_dict_gives_loads_as_the_same_config_from_any_folder(
    tmp_path: pathlib.Path, smallest: pathlib.Path, content: dict
) -> None:
    config = load(_write(tmp_path, content))
    assert load(_write(smallest.parent, to_dict(config))) == config


# Unknown keys, missing keys.


@pytest.mark.parametrize("table", KEYS)
def test_an_unknown_key_is_named_with_its_file_and_the_known_ones(
    tmp_path: pathlib.Path, table: str
) -> None:
    key = f"{table}.epoch".lstrip(".")
    path = _write(tmp_path, _with(key, 3))
    [line] = _mistakes(path)
    known, *hint = line.rpartition("; ")
    assert known == f"{key}: unknown key; expected one of {KEYS[table]}"
    assert "; " + hint[1] == UNKNOWN or hint[1].startswith("did you mean '")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_key_that_was_renamed_is_refused_with_its_new_name(
    tmp_path: pathlib.Path, old: str, new: str
) -> None:
    path = _write(tmp_path, _with(old, 3))
    assert _mistakes(path) == [f"{old}: unknown key; it is named {new} now"]
    with pytest.raises(ConfigError, match=f"it is named {re.escape(new)} now"):
        load(_write(tmp_path, SMALLEST), [f"{old}=3"])


def test_an_unknown_table_is_named_once_whatever_is_in_it(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, SMALLEST | {"trian": {"epochs": 3, "units": "x"}})
    assert _mistakes(path) == [
        f"trian: unknown key; expected one of {KEYS['']}; did you mean 'train'?"
    ]


def test_every_missing_key_is_named(tmp_path: pathlib.Path) -> None:
    missing = [f"{key}: expected a value, received none" for key in ("name", "workdir", "input")]
    assert _mistakes(_write(tmp_path, "")) == missing
    path = _write(tmp_path, SMALLEST | {"input": {}})
    assert _mistakes(path) == ["input.train: expected a value, received none"]


def test_an_option_that_is_missing_can_be_set(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, {key: SMALLEST[key] for key in ("name", "schema", "workdir")})
    assert load(path, ["input.train=/d/x"]).input.train == "/d/x"


# Wrong types.

DAY = datetime.date(1979, 5, 27)
AS_TABLE = "{'date': '1979-05-27'}"  # JSON, through which types are checked, has no dates.
OTHER_TYPES = {
    int: ("a valid integer", ["5", 5.0, 5.5, True, math.inf, math.nan, [5], {"a": 5}]),
    float: ("a valid number", ["0.5", True, [0.5], {"a": 0.5}]),
    bool: ("a valid boolean", ["true", 1, 0.0, [True]]),
    str: ("a valid string", [5, 0.5, True, math.inf, ["a"], {"a": "b"}]),
    int | None: ("a valid integer", ["5", 5.5, True, [5]]),
    float | None: ("a valid number", ["0.5", True, [0.5]]),
    str | None: ("a valid string", [5, False, ["a"]]),
    tuple[str, ...]: ("a list", ["--a=b", 5, {"a": "b"}]),
    tuple[HeadOptions, ...]: ("a list", [5, {"name": "h", "type": "regression"}]),
    tuple[TermOptions, ...]: ("a list", [5, {"name": "t", "type": "x"}]),
    Mapping[str, FeatureOptions]: ("a table", ["x", 5]),
    InputOptions: ("a table", ["x", 5, [{"train": "x"}]]),
    StepOptions: ("a table", ["x", 5, [{"stride": 1}]]),
    DriftOptions: ("a table", ["x", 5]),
    QuarantineOptions: ("a table", [0.5]),
    TrainOptions: ("a table", [5, [{"epochs": 3}]]),
    TuneOptions: ("a table", [True, 5]),
    PushOptions: ("a table", [True, 5]),
    KeepOptions: ("a table", [True, 5]),
    BeamOptions: ("a table", [True, "DirectRunner"]),
}


def _words(kind: object) -> str:
    """`'a', 'b' or 'c'` of a Literal."""
    *some, last = map(repr, get_args(kind))
    return f"{', '.join(some)} or {last}"


CHOICES = {key: _words(kind) for key, kind in FIELDS.items() if get_origin(kind) is Literal}
# Keys whose words are the names in a registry.
REGISTERED = {
    key: str(get_args(kind)[1]) for key, kind in FIELDS.items() if get_origin(kind) is Annotated
}


def test_the_tests_below_try_every_key() -> None:
    others = {kind for key, kind in FIELDS.items() if key not in CHOICES | REGISTERED}
    assert others == set(OTHER_TYPES)
    registered = ["input.format", "train.padding", "train.error", "train.encoder", "train.decoder"]
    assert [*REGISTERED] == registered
    assert CHOICES["train.precision"] == "'float32' or 'bfloat16'"


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        *[
            (key, value, f"expected {OTHER_TYPES[kind][0]}, received {value!r}")
            for key, kind in FIELDS.items()
            if kind in OTHER_TYPES
            for value in OTHER_TYPES[kind][1]
        ],
        *[
            (key, value, f"expected {words}, received {value!r}")
            for key, words in CHOICES.items()
            for value in ("cvs", "", 3, True)
        ],
        *[
            (key, value, f"expected {words}, received {value!r}")
            for key, words in REGISTERED.items()
            for value in ("cvs", "")
        ],
        *[
            (key, value, f"expected a valid string, received {value!r}")
            for key in REGISTERED
            for value in (3, True)
        ],
        ("name", DAY, f"expected a valid string, received {AS_TABLE}"),
        ("train.epochs", DAY, f"expected a valid integer, received {AS_TABLE}"),
    ],
)
def test_a_value_of_another_type_is_refused(
    tmp_path: pathlib.Path, key: str, value: object, line: str
) -> None:
    assert _mistakes(_write(tmp_path, _with(key, value))) == [f"{key}: {line}"]


def test_items_of_a_list_are_checked_and_named_by_their_place(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, _with("beam.options", ["--a=b", 3, ["--c=d"]]))
    assert _mistakes(path) == [
        "beam.options.1: expected a valid string, received 3",
        "beam.options.2: expected a valid string, received ['--c=d']",
    ]


# Impossible values.

AT_LEAST_ONE = (
    "layers",
    "units",
    "embedding_size",
    "gradient_accumulation_steps",
    "updates",
)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        *[
            (f"train.{name}", value, f"expected at least 1, received {value}")
            for name in AT_LEAST_ONE
            for value in (0, -1)
        ],
        *[
            (f"train.{name}", -1, "expected at least 1, or 0 to leave it to the data, received -1")
            for name in ("batch_size", "epochs", "patience")
        ],
        (
            "train.sample_steps",
            -1,
            "expected at least 1, or 0 for all steps, received -1",
        ),
        *[
            (f"train.{name}", value, f"expected a positive number, received {value}")
            for name in ("learning_rate", "clip_norm")
            for value in (0.0, -0.1, math.inf, -math.inf, math.nan)
        ],
        *[
            ("train.seed", value, f"expected 0 to 2**31 - 1, received {value}")
            for value in (-1, 2**31)
        ],
        *[
            ("train.linear_steps", value, f"expected 0 or at least 2, received {value}")
            for value in (-1, 1)
        ],
        *[
            ("train.dropout", value, f"expected a share below 1, received {value}")
            for value in (-0.1, 1.0, math.nan)
        ],
        ("tune.trials", -1, "expected at least 0, received -1"),
        *[
            ("tune.held_out", value, f"expected a share above 0 and below 1, received {value}")
            for value in (0.0, 1.0, -0.1, math.inf, math.nan)
        ],
        *[
            (f"input.{name}", "", "expected a path or a pattern, received an empty string")
            for name in ("train", "eval")
        ],
        *[
            ("input.eval_share", value, f"expected a share between 0 and 1, received {value}")
            for value in (0.0, 1.0, -0.1, 20.0, math.inf, math.nan)
        ],
        *[
            (
                "quarantine.max_share",
                value,
                f"expected a share from 0 to 1, received {value}",
            )
            for value in (-0.01, 1.01, math.inf, math.nan)
        ],
        *[
            (f"drift.{name}", value, f"expected a number above {bound}, received {value}")
            for name, bound in (("max_shift", 0), ("max_spread", 1), ("max_missing", 0))
            for value in (float(bound), -0.5, math.nan)
        ],
        *[
            ("name", value, f"expected letters, digits, '-' and '_', received {value!r}")
            for value in ("", "a b", "a/b", "..", "---", "grüße", "x²", "a\n", "a\0b")
        ],
        *[
            ("workdir", value, f"expected a local folder, received {value!r}")
            for value in ("", "gs://bucket/w")
        ],
        *[
            (
                "records",
                value,
                "expected a folder in a store of objects, such as s3://bucket/folder, received "
                f"{value!r}; without it, records are in workdir",
            )
            for value in ("", "records", "/records", "s3://", "://bucket", "s3://bucket/*/records")
        ],
        ("beam.runner", "", "expected the name of a Beam runner, received an empty string"),
        ("beam.options", ["-a"], "expected --name=value, received '-a'"),
        ("beam.options", ["--a=b", "c"], "expected --name=value, received 'c'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(
    tmp_path: pathlib.Path, key: str, value: object, line: str
) -> None:
    assert _mistakes(_write(tmp_path, _with(key, value))) == [f"{key}: {line}"]


@pytest.mark.parametrize(
    "other", [{"bidirectional": True}, {"decoder": "teacher"}, {"encoder": "transformer"}]
)
def test_values_that_exclude_each_other_are_refused(tmp_path: pathlib.Path, other: dict) -> None:
    lines = _mistakes(_write(tmp_path, SMALLEST | {"train": {"padding": "keras"} | other}))
    assert lines == [
        "train.padding: 'keras' is the textbook model; expected a recurrent encoder, "
        "bidirectional = false and decoder = 'repeat' with it"
    ]
    assert load(_write(tmp_path, _with("train.padding", "keras"))).train.padding == "keras"


def test_the_textbook_model_is_refused_where_the_schema_has_categories(
    tmp_path: pathlib.Path,
) -> None:
    schema = schemas.load("gestures")
    schema.feature.add(name="activity", type=schema_pb2.BYTES)
    shown = schema.tensor_representation_group[""].tensor_representation["activity"]
    shown.ragged_tensor.feature_path.step.append("activity")
    file = tmp_path / "events.pbtxt"
    file.write_text(text_format.MessageToString(schema), encoding="utf-8")
    document = SMALLEST | {"schema": str(file)}
    assert load(_write(tmp_path, document)).schema == str(file)
    assert _mistakes(_write(tmp_path, document | {"train": {"padding": "keras"}})) == [
        "train.padding: 'keras' is the textbook model of numbers; expected a schema without "
        "categories, received activity"
    ]


# Heads, a list of tables.

HEAD = {"name": "h", "column": "label", "type": "classification", "classes": ["a", "b"]}
HEAD_KEYS = ", ".join(field.name for field in dataclasses.fields(HeadOptions))


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("nam", "x", f"unknown key; expected one of {HEAD_KEYS}; did you mean 'heads.1.name'?"),
        ("name", 3, "expected a valid string, received 3"),
        ("column", ["label"], "expected a valid string, received ['label']"),
        ("type", "ranking", "expected 'classification' or 'regression', received 'ranking'"),
        ("classes", "a", "expected a list, received 'a'"),
        ("weight", "1", "expected a valid number, received '1'"),
        ("weight", True, "expected a valid number, received True"),
        ("name", "", "expected one, received ''"),
        ("name", " ", "expected one, received ' '"),
        ("classes", [], "expected at least 2 different ones, received []"),
        ("classes", ["a", "b", "a"], "expected each once, received ['a', 'b', 'a']"),
        *[
            ("weight", value, f"expected a positive number, received {value}")
            for value in (0.0, -1.0, math.inf, math.nan)
        ],
        (
            "column",
            "speaker",
            "expected a context column of the schema that a classification can learn (label), "
            "received 'speaker'",
        ),
        (
            "column",
            "ax",
            "expected a context column of the schema that a classification can learn (label), "
            "received 'ax'",
        ),
    ],
)
def test_a_mistake_in_a_head_is_named_with_the_heads_place(
    tmp_path: pathlib.Path, key: str, value: object, line: str
) -> None:
    heads = [HEAD, HEAD | {"name": "other", key: value}]
    assert _mistakes(_write(tmp_path, SMALLEST | {"heads": heads})) == [f"heads.1.{key}: {line}"]


def test_the_keys_that_a_head_lacks_are_named(tmp_path: pathlib.Path) -> None:
    assert _mistakes(_write(tmp_path, SMALLEST | {"heads": [{}, 3]})) == [
        "heads.0.name: expected a value, received none",
        "heads.0.column: expected a value, received none",
        "heads.0.type: expected a value, received none",
        "heads.1: expected a table, received 3",
    ]


def test_two_heads_of_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, SMALLEST | {"heads": [HEAD, HEAD | {"name": "g"}, HEAD]})
    assert _mistakes(path) == ["heads: expected each name once, received h, g, h"]


def test_a_regression_needs_a_column_of_numbers(tmp_path: pathlib.Path) -> None:
    text = schemas.locate("gestures").read_text(encoding="utf-8")
    text += '\nfeature { name: "age" type: FLOAT }'
    (tmp_path / "s.pbtxt").write_text(text, encoding="utf-8")
    head = {"name": "h", "column": "age", "type": "regression"}
    mine = SMALLEST | {"schema": "s.pbtxt"}
    [found] = load(_write(tmp_path, mine | {"heads": [head]})).heads
    assert found == HeadOptions(**head)
    wrong = [head | {"column": "label"}, head | {"name": "g", "column": "weight"}]
    message = "expected a context column of the schema that a regression can learn (age), received"
    assert _mistakes(_write(tmp_path, mine | {"heads": wrong})) == [
        f"heads.0.column: {message} 'label'",
        f"heads.1.column: {message} 'weight'",
    ]
    [line] = _mistakes(_write(tmp_path, SMALLEST | {"heads": wrong[:1]}))
    assert "(it has none), received 'label'" in line
    [line] = _mistakes(_write(tmp_path, mine | {"heads": [head | {"classes": ["a"]}]}))
    assert line == "heads.0.classes: a regression has none, received ['a']"


def test_heads_can_be_set_on_the_command_line(tmp_path: pathlib.Path) -> None:
    config = load(_write(tmp_path, FULL), ["heads=[]"])
    assert config.heads == ()


# Several mistakes at once.


def test_mistakes_of_every_table_are_told_together_one_line_each(tmp_path: pathlib.Path) -> None:
    path = _write(
        tmp_path,
        {
            "schema": 3,
            "workdir": "w",
            "input": {"train": "x", "formt": "ts", "eval_share": 0.0},
            "train": {"epochs": -1, "units": 0, "learning_rate": 0.0, "seed": -1},
            "beam": {"options": ["a", "--direct_running_mode=multi_threading"], "runner": ""},
        },
    )
    assert sorted(line.split(": ")[0] for line in _mistakes(path)) == [
        "beam.options",
        "beam.options",
        "beam.runner",
        "input.formt",
        "name",
        "schema",
        "train.epochs",
        "train.learning_rate",
        "train.seed",
        "train.units",
    ]


def test_several_values_of_the_input_are_told_together(tmp_path: pathlib.Path) -> None:
    table = {"train": "", "eval": "", "eval_share": 2.0, "spans": 0, "span": 1}
    lines = _mistakes(_write(tmp_path, SMALLEST | {"input": table}))
    assert [line.split(": ")[0] for line in lines] == [f"input.{key}" for key in table]


def test_several_values_of_the_top_are_told_together(tmp_path: pathlib.Path) -> None:
    lines = _mistakes(_write(tmp_path, SMALLEST | {"name": "", "workdir": ""}))
    assert [line.split(": ")[0] for line in lines] == ["name", "workdir"]


# --set.


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("train.epochs=5", "train.epochs", 5),
        ("train.epochs=0x10", "train.epochs", 16),
        ("train.learning_rate=1e-2", "train.learning_rate", 0.01),
        ("train.learning_rate=1", "train.learning_rate", 1.0),
        ("train.strategy=one", "train.strategy", "one"),
        ('train.strategy="one"', "train.strategy", "one"),
        ("train.strategy='one'", "train.strategy", "one"),
        ("name=foo", "name", "foo"),
        ('name="3"', "name", "3"),
        ("name=1979-05-27", "name", "1979-05-27"),
        ('beam.options=["--a=b", "--c"]', "beam.options", ("--a=b", "--c")),
        ("beam.options=[]", "beam.options", ()),
        ("train={epochs = 5, units = 6}", "train.units", 6),
        ("input.train=/d/a b=c.jsonl", "input.train", "/d/a b=c.jsonl"),
        ("input.train=/d/[0-9]#1.jsonl", "input.train", "/d/[0-9]#1.jsonl"),
        ("input.train=/d/a\nb", "input.train", "/d/a\nb"),
    ],
)
def test_set_takes_toml_and_else_text(
    smallest: pathlib.Path, override: str, key: str, value: object
) -> None:
    found = _at(load(smallest, [override]), key)
    assert found == value
    assert type(found) is type(value)


def test_set_leaves_the_rest_of_a_table_as_the_file_has_it(tmp_path: pathlib.Path) -> None:
    config = load(_write(tmp_path, FULL), ["train.epochs=99", "train={units = 98}"])
    assert config.train == TrainOptions(**(FULL["train"] | {"epochs": 99, "units": 98}))


def test_the_last_set_of_a_key_counts(smallest: pathlib.Path) -> None:
    assert load(smallest, ["train.epochs=5", "train.epochs=6"]).train.epochs == 6


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("nope=1", f"nope: unknown key; expected one of {KEYS['']}{UNKNOWN}"),
        ("nope.epochs=1", f"nope: unknown key; expected one of {KEYS['']}{UNKNOWN}"),
        ("epochs=1", f"epochs: unknown key; expected one of {KEYS['']}{EPOCHS}"),
        ("train.epoch=1", f"train.epoch: unknown key; expected one of {KEYS['train']}{EPOCHS}"),
        ('train.epochs="5"', "train.epochs: expected a valid integer, received '5'"),
        ("train.epochs=5.0", "train.epochs: expected a valid integer, received 5.0"),
        ("train.epochs=five", "train.epochs: expected a valid integer, received 'five'"),
        ("train.epochs=", "train.epochs: expected a valid integer, received ''"),
        ("train.epochs=5\nname=x", "train.epochs: expected a valid integer, received '5\\nname=x'"),
        ("train.units=0", "train.units: expected at least 1, received 0"),
        ("train.clip_norm=nan", "train.clip_norm: expected a positive number, received nan"),
        ("name=3", "name: expected a valid string, received 3"),
        ("beam.options=--a=b", "beam.options: expected a list, received '--a=b'"),
        ("input.train=", "input.train: expected a path or a pattern, received an empty string"),
        ("workdir=", "workdir: expected a local folder, received ''"),
        ("train=5", "train: expected a table, received 5"),
        ("train.epochs.x=5", "train.epochs: expected a valid integer, received {'x': 5}"),
    ],
)
def test_a_mistake_in_set_is_refused_as_one_in_the_file(
    smallest: pathlib.Path, override: str, line: str
) -> None:
    assert _mistakes(smallest, override) == [line]


@pytest.mark.parametrize("override", ["epochs", "", "=5", ".epochs=5", "train.=5", "a..b=5"])
def test_a_set_that_is_no_assignment_is_refused(smallest: pathlib.Path, override: str) -> None:
    message = f"^--set: expected key=value, received {re.escape(repr(override))}$"
    with pytest.raises(ConfigError, match=message):
        load(smallest, ["name=m", override])


def test_a_set_below_a_value_that_was_set_before_is_refused(smallest: pathlib.Path) -> None:
    lines = _mistakes(smallest, "train.epochs=5", "train.epochs.x=6")
    assert lines == ["train.epochs: expected a valid integer, received {'x': 6}"]


# Paths.


def test_paths_in_a_file_are_relative_to_the_file(
    tmp_path: pathlib.Path, elsewhere: pathlib.Path
) -> None:
    shutil.copy(schemas.locate("gestures"), tmp_path / "mine.pbtxt")
    config = load(
        _write(
            elsewhere,
            {
                "name": "n",
                "schema": "../mine.pbtxt",
                "workdir": "runs/a",
                "input": {"train": "./d/*.jsonl", "eval": "../e/**"},
            },
        )
    )
    assert config.schema == str(tmp_path / "mine.pbtxt")
    assert config.workdir == str(elsewhere / "runs" / "a")
    assert config.input.train == str(elsewhere / "d" / "*.jsonl")
    assert config.input.eval == str(tmp_path / "e" / "**")


def test_a_file_that_is_itself_given_by_a_relative_path(
    smallest: pathlib.Path, elsewhere: pathlib.Path
) -> None:
    config = load(os.path.relpath(smallest, elsewhere))
    assert config.workdir == str(smallest.parent / "w")


def test_paths_on_the_command_line_are_relative_to_the_folder_it_runs_in(
    smallest: pathlib.Path, elsewhere: pathlib.Path
) -> None:
    shutil.copy(schemas.locate("gestures"), elsewhere / "mine.pbtxt")
    config = load(
        smallest,
        ["input.train=d/1979-05-27", "input={eval = 'e'}", "schema=mine.pbtxt", "workdir=../r"],
    )
    assert config.input.train == str(elsewhere / "d" / "1979-05-27")
    assert config.input.eval == str(elsewhere / "e")
    assert config.schema == str(elsewhere / "mine.pbtxt")
    assert config.workdir == str(elsewhere.parent / "r")
    assert load(smallest, ["input.train=1979-05-27"]).input.train == str(elsewhere / "1979-05-27")


def test_absolute_paths_stay(tmp_path: pathlib.Path, elsewhere: pathlib.Path) -> None:
    config = load(_write(tmp_path, FULL), ["input.eval=/e"], workdir="/v")
    assert (config.input.train, config.input.eval, config.workdir) == (
        "/d/train-{SPAN}.csv",
        "/e",
        "/v",
    )


def test_a_url_is_no_relative_path(tmp_path: pathlib.Path, elsewhere: pathlib.Path) -> None:
    path = _write(tmp_path, _with("input.train", "gs://bucket/d//*.jsonl"))
    config = load(path, ["input.eval=s3://bucket/../e"])
    assert config.input.train == "gs://bucket/d//*.jsonl"
    assert config.input.eval == "s3://bucket/../e"


def test_the_work_directory_given_beats_the_set_one_and_the_files(
    smallest: pathlib.Path, elsewhere: pathlib.Path
) -> None:
    assert load(smallest, workdir="a").workdir == str(elsewhere / "a")
    assert load(smallest, ["workdir=b"], workdir="a").workdir == str(elsewhere / "a")
    assert load(smallest, ["workdir=b"]).workdir == str(elsewhere / "b")
    with pytest.raises(ConfigError, match="workdir: expected a local folder, received ''"):
        load(smallest, workdir="")


# Files that cannot be read.


NO_TOML = {
    "no value": ("name = \n", r"Invalid value \(at line 1, column 8\)"),
    "open table": ('name = "a"\n\n[input\n', r"Expected '\]' at .*\(at line 3, column 7\)"),
    "key twice": ('name = "a"\nname = "b"\n', r"Cannot overwrite .*\(at line 2, column 11\)"),
    "table twice": ("[input]\n[input]\n", r"Cannot declare .* \(at line 2, column 7\)"),
    "latin-1": ('name = "ü"\n'.encode("latin-1"), "expected UTF-8: .* position 8"),
    "utf-16": ('name = "a"'.encode("utf-16"), "expected UTF-8: .* position 0"),
    "deep list": ("a = " + "[" * 9000, "recursion"),
    "deep table": (".".join("a" * 9000) + " = 1", "recursion"),
    "table too deep for JSON": (".".join("a" * 300) + " = 1", "recursion limit"),
    "endless number": ("a = " + "9" * 5000, "4300 digits"),
    "endless hex number": ("a = 0x" + "f" * 5000, "4300 digits"),
}


@pytest.mark.parametrize(("content", "message"), NO_TOML.values(), ids=NO_TOML)
def test_a_file_that_is_no_toml_is_refused_with_the_place(
    tmp_path: pathlib.Path, content: str | bytes, message: str
) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: .*{message}"):
        load(path)


def test_a_path_that_is_no_file_is_refused(tmp_path: pathlib.Path) -> None:
    absent = tmp_path / "absent.toml"
    with pytest.raises(ConfigError, match=f"^{absent}: No such file or directory; `ragline init"):
        load(absent)
    with pytest.raises(ConfigError, match=f"^{tmp_path}: expected .*a folder with a ragline.toml"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="null byte"):
        load("a\0b")


# The schema.


def test_an_unknown_schema_lists_the_known_ones(tmp_path: pathlib.Path) -> None:
    known = ", ".join(sorted(file.stem for file in schemas.FOLDER.glob("*.pbtxt")))
    assert "gestures" in known
    assert _mistakes(_write(tmp_path, _with("schema", "gesture"))) == [
        f"schema: no schema 'gesture': expected a .pbtxt file or one of: {known}"
    ]
    assert _mistakes(_write(tmp_path, _with("schema", "my/s.pbtxt"))) == [
        f"schema: no schema '{tmp_path}/my/s.pbtxt': expected a .pbtxt file or one of: {known}"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"feature {\n  nam: 'x'\n}", r"2:3 .*no field named \"nam\""),
        (b"\xff", "utf-8.*position 0"),
        (b"", "the schema lacks sequence_id, entity_id, length, length_bucket"),
    ],
)
def test_a_bad_schema_file_is_refused_with_the_place(
    tmp_path: pathlib.Path, content: bytes, message: str
) -> None:
    (tmp_path / "s.pbtxt").write_bytes(content)
    [line] = _mistakes(_write(tmp_path, _with("schema", "s.pbtxt")))
    assert re.search(f"^schema: .*{message}", line)


@pytest.mark.parametrize("schema", ["s" * 300, "s" * 300 + ".pbtxt"])
def test_a_schema_whose_name_no_file_can_have_is_refused(
    tmp_path: pathlib.Path, schema: str
) -> None:
    path = _write(tmp_path, _with("schema", schema))
    with pytest.raises(ConfigError, match=f"^{path}: schema: .*File name too long"):
        load(path)


# Beam.


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (
            "--direct_running_mode=multi_threading",
            "--direct_running_mode=multi_threading loses records and reports success",
        ),
        (
            "--experiments=data_buffer_time_limit_ms=100",
            "data_buffer_time_limit_ms > 0 loses records and reports success",
        ),
        ("--runner=DaskRunner", "beam.runner names the runner"),
        ("--runner", "beam.runner names the runner"),
    ],
)
def test_a_beam_option_that_does_harm_is_refused_with_the_reason(
    tmp_path: pathlib.Path, option: str, why: str
) -> None:
    path = _write(tmp_path, _with("beam.options", ["--direct_num_workers=2", option]))
    assert _mistakes(path) == [f"beam.options: {option!r} is refused: {why}"]


@pytest.mark.parametrize(
    "runner",
    ["DaskRunner", "dask", "DASKRUNNER", "apache_beam.runners.dask.dask_runner.DaskRunner"],
)
def test_dask_is_refused_under_every_name_that_beam_knows_it_by(
    tmp_path: pathlib.Path, runner: str
) -> None:
    assert _mistakes(_write(tmp_path, _with("beam.runner", runner))) == [
        f"beam.runner: {runner!r} is refused: it writes empty files and reports success"
    ]


PLUGIN, NO_IMAGE = "--beam_plugin=ragline.components", "--sdk_container_image=none"


@pytest.mark.parametrize(
    "runner",
    [
        "DirectRunner",
        "direct",
        "directrunner",
        "apache_beam.runners.direct.direct_runner.DirectRunner",
        "BundleBasedDirectRunner",
        "FnApiRunner",
    ],
)
def test_the_direct_runner_is_started_without_its_download(runner: str) -> None:
    options = BeamOptions(runner=runner, options=("--a=b", "--c"))
    started = "--runner=ragline.components.runtime.local_runner.LocalRunner"
    assert options.arguments == [started, PLUGIN, NO_IMAGE, "--a=b", "--c"]
    assert options.runner == runner, "what the user wrote is what config.toml shows"


@pytest.mark.parametrize(
    ("option", "image"),
    [
        ("--environment_type=LOOPBACK", [NO_IMAGE]),
        ("--environment_type=EXTERNAL", [NO_IMAGE]),
        ("--environment_type=PROCESS", [NO_IMAGE]),
        ("--sdk_container_image=registry/ragline:1", []),
    ],
)
def test_workers_elsewhere_are_told_how_they_get_ragline(option: str, image: list[str]) -> None:
    options = BeamOptions(runner="FlinkRunner", options=(option,))
    runner = "ragline.components.runtime.cluster_runners.FlinkRunner"
    assert options.arguments == [f"--runner={runner}", PLUGIN, *image, option]


@pytest.mark.parametrize("options", [[], ["--environment_type=DOCKER"], ["--parallelism=4"]])
def test_workers_elsewhere_that_would_lack_ragline_are_refused(
    tmp_path: pathlib.Path, options: list[str]
) -> None:
    path = _write(tmp_path, _with("beam", {"runner": "DataflowRunner", "options": options}))
    assert _mistakes(path) == [
        "beam.runner: 'DataflowRunner' starts workers, which need ragline: expected among the "
        "options --sdk_container_image=IMAGE, or --environment_type=LOOPBACK, EXTERNAL or PROCESS "
        "(docs/engines.md)"
    ]


# Anything at all.

_TEXT = st.one_of(
    st.text(max_size=20),
    st.text(string.ascii_letters + "-_./:*", max_size=8),
    st.sampled_from(["gestures", "a", "auto", "one", "float32", "--a=b", "gs://b/c", "x.pbtxt"]),
)
_JUNK = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.integers(0, 9),
        st.floats(),
        st.floats(0, 1),
        _TEXT,
        st.dates(),
        st.times(),
        st.datetimes(),
    ),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(_TEXT, item, max_size=3),
    max_leaves=5,
)


_DOTTED = st.sampled_from(list(FIELDS))
_OVERRIDES = st.builds("{}={}".format, _DOTTED, st.one_of(_TEXT, _JUNK.map(str)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("junk")


def _loads_or_refuses(path: pathlib.Path, overrides: list[str]) -> Config | None:
    try:
        config = load(path, overrides)
    except ConfigError as error:
        assert str(error).startswith((f"{path}: ", "--set: "))
        return None
    assert load(_write(path.parent, to_dict(config))) == config
    return config


@given(
    document=st.sampled_from([SMALLEST, FULL]),
    junk=st.dictionaries(_DOTTED, _TEXT | _JUNK, max_size=2),
    overrides=st.lists(_OVERRIDES, max_size=1),
)
@example(document=FULL, junk={}, overrides=["beam.options=[]"])
@example(document=SMALLEST, junk={"schema": "s" * 300}, overrides=["name=\udcff"])
@example(document=FULL, junk={}, overrides=["name=" + "[" * 9000, "train.seed=" + "9" * 5000])
@settings(max_examples=sampled(300), deadline=None)
def test_any_junk_under_known_keys_loads_or_is_refused(
    folder: pathlib.Path, document: dict, junk: dict[str, object], overrides: list[str]
) -> None:
    for key in sorted(junk, key=lambda key: -key.count(".")):  # Last a table as a whole.
        document = _with(key, junk[key], document)
    _loads_or_refuses(_write(folder, document), overrides)


@given(content=st.binary(max_size=60) | st.text(max_size=60))
@settings(max_examples=sampled(100), deadline=None)
def test_any_junk_of_a_file_is_refused(folder: pathlib.Path, content: bytes | str) -> None:
    assert _loads_or_refuses(_write(folder, content), []) is None


@given(
    table=st.fixed_dictionaries(
        {},
        optional={
            "units": st.integers(1, 2**40),
            "seed": st.integers(0, 2**31 - 1),
            "learning_rate": st.floats(0, exclude_min=True, allow_infinity=False),
            "clip_norm": st.integers(1, 9),
            "strategy": st.sampled_from(["auto", "one", "mirrored", "multi_worker"]),
        },
    )
)
@settings(max_examples=sampled(50), deadline=None)
def test_whatever_is_possible_loads_exactly(folder: pathlib.Path, table: dict) -> None:
    config = _loads_or_refuses(_write(folder, SMALLEST | {"train": table}), [])
    assert config is not None
    assert config.train == TrainOptions(**table)
