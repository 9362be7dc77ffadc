"""The table `[features]`: the schema that it stands for, and what is refused in it."""

import pathlib

import pytest
import tomli_w
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract import exits
from ragline.components.contract.columns import UNIT_TAG, Columns
from ragline.components.validate import features
from ragline.components.validate.features import FeatureOptions
from ragline.pipeline import config
from ragline.pipeline.cli.main import main
from ragline.pipeline.onboard import plan

TOP = {"name": "n", "workdir": "w", "input": {"train": "a.jsonl"}}


def _load(folder: pathlib.Path, table: object, **more: object) -> config.Config:
    (folder / "c.toml").write_text(tomli_w.dumps({**TOP, "features": table, **more}))
    return config.load(folder / "c.toml")


def _options(feature: schema_pb2.Feature, *, ragged: bool) -> FeatureOptions:
    """The line of `[features]` that says what a feature of a schema says."""
    kinds = {schema_pb2.BYTES: "text", schema_pb2.INT: "integer", schema_pb2.FLOAT: "number"}
    kind = kinds[feature.type]
    of_numbers = feature.int_domain if kind == "integer" else feature.float_domain
    units = [tag.removeprefix(UNIT_TAG) for tag in feature.annotation.tag]
    return FeatureOptions(
        type="context" if not ragged else "number" if kind == "number" else "category",
        values=kind if kind != "number" or not ragged else "text",
        unit=units[0] if units else None,
        missing=ragged and kind == "number" and not feature.float_domain.disallow_nan,
        min=of_numbers.min if of_numbers.HasField("min") else None,
        max=of_numbers.max if of_numbers.HasField("max") else None,
        classes=tuple(feature.string_domain.value),
    )


@pytest.mark.parametrize("name", ["gestures", "japanese_vowels"])
def test_a_schema_of_ours_can_be_said_in_lines(name):
    """The oracle is the schema that was written by hand: the two say the same of every column."""
    expected = schemas.load(name)
    columns = Columns.from_schema(expected)
    stepwise = {*columns.names, *(category.name for category in columns.categories)}
    own = {feature.name: feature for feature in expected.feature}
    named = [name for name in own if name in stepwise or name in columns.context]
    table = {name: _options(own[name], ragged=name in stepwise) for name in named}
    made = features.to_schema(table)
    assert Columns.from_schema(made) == columns.__class__(
        features=columns.features,
        context=columns.context,
        categories=columns.categories,
        has_missing_bucket=True,
    )
    for feature in made.feature:
        other = own.get(feature.name)
        if other is None:
            assert feature.name == "missing_bucket"
            continue
        assert feature.type == other.type
        for domain in ("float_domain", "int_domain"):
            for bound in ("min", "max", "disallow_nan", "disallow_inf"):
                one = getattr(getattr(feature, domain), bound, None)
                assert one == getattr(getattr(other, domain), bound, None), feature.name
        assert list(feature.string_domain.value) == list(other.string_domain.value)
        if feature.name not in columns.context:
            assert feature.presence == other.presence


def test_a_table_is_the_contract_that_tfx_is_given(tmp_path):
    loaded = _load(
        tmp_path,
        {
            "größe b": {
                "unit": "m",
                "transform": "signed_log",
                "missing": True,
                "min": -1.5,
                "description": "how tall",
            },
            "act": {"type": "category"},
            "act id": {"type": "category", "values": "integer"},
            "label": {"type": "context", "classes": ["a", "b"]},
            "age": {"type": "context", "values": "integer", "min": 0, "max": 120},
            "weight": {"type": "context", "values": "number"},
        },
    )
    contract = config.read_contract(loaded)
    assert contract.schema == text_format.Parse(contract.text, schema_pb2.Schema())
    columns = contract.columns
    assert [(f.name, f.unit, f.allow_missing) for f in columns.features] == [("größe b", "m", True)]
    assert columns.transforms == ("signed_log",)
    assert {c.name: c.kind for c in columns.categories} == {"act": "bytes", "act id": "int"}
    assert columns.context == {"label": "bytes", "age": "int", "weight": "float"}
    own = {feature.name: feature for feature in contract.schema.feature}
    assert own["größe b"].float_domain.min == -1.5
    assert not own["größe b"].float_domain.disallow_nan
    assert own["größe b"].annotation.comment == ["how tall"]
    assert (own["age"].int_domain.min, own["age"].int_domain.max) == (0, 120)
    assert list(own["label"].string_domain.value) == ["a", "b"]


def test_what_to_dict_gives_loads_as_the_same(tmp_path):
    loaded = _load(tmp_path, {"x": {"missing": True}, "label": {"type": "context"}})
    (tmp_path / "d.toml").write_text(tomli_w.dumps(config.to_dict(loaded)))
    assert config.load(tmp_path / "d.toml") == loaded


def test_time_delta_is_a_line(tmp_path):
    table = {"x": {}, "time_delta": {"derived": True}}
    order = {"input": {"train": "a.jsonl", "order_by": "t"}}
    assert _load(tmp_path, table, **order).input.steps.time_delta
    assert not _load(tmp_path, {"x": {}, "time_delta": {}}, **order).input.steps.time_delta
    with pytest.raises(config.ConfigError, match=r"time_delta: expected order_by with it"):
        _load(tmp_path, table)
    table = {"x": {}, "hour_of_day": {"derived": True}, "day_of_week": {"derived": True}}
    assert _load(tmp_path, table, **order).input.steps.derived == ("hour_of_day", "day_of_week")


def test_the_rules_stand_beside_the_configuration_or_where_it_says(tmp_path):
    (tmp_path / "c.verdict.toml").write_text("min_eval = 7\n")
    assert config.read_contract(_load(tmp_path, {"x": {}})).rules.min_eval == 7
    (tmp_path / "mine.toml").write_text("min_eval = 8\n")
    loaded = _load(tmp_path, {"x": {}}, verdict="mine.toml")
    assert config.read_contract(loaded).rules.min_eval == 8
    (tmp_path / "c.verdict.toml").unlink()
    with pytest.raises(config.ConfigError, match=r"c\.toml: verdict: expected a file, received"):
        _load(tmp_path, {"x": {}}, verdict="none.toml")


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({}, r"schema: expected a value, received none: .* or a table \[features\]"),
        ({"label": {"type": "context"}}, r"features: the schema has no feature"),
        (
            {"x": {"typ": "number"}},
            r"features\.x\.typ: unknown key; .*did you mean 'features\.x\.type'",
        ),
        (
            {"x": {"type": "numbr"}},
            r"features\.x\.type: expected 'number', 'category' or 'context'",
        ),
        ({"x": {"missing": "yes"}}, r"features\.x\.missing: expected a valid boolean"),
        ({"x": {"min": 2, "max": 1}}, r"features\.x\.max: expected at least min = 2, received 1"),
        ({"x": {}, "c": {"type": "category", "unit": "m"}}, r"c\.unit: expected it of a number"),
        (
            {"x": {}, "c": {"type": "context", "transform": "log"}},
            r"c\.transform: expected it of a number, received it of type = 'context'",
        ),
        (
            {"x": {"transform": "signedlog"}},
            r"x\.transform: expected 'none', 'log' or 'signed_log', received 'signedlog'; did you "
            r"mean 'signed_log'\?",
        ),
        ({"x": {"transfrm": "log"}}, r"x\.transfrm: unknown key; .*'features\.x\.transform'"),
        ({"x": {}, "c": {"type": "category", "values": "number"}}, r"c\.values: expected 'text'"),
        ({"x": {"classes": ["a"]}}, r"features\.x\.classes: expected them of text"),
        ({"x": {}, "c": {"type": "context", "min": 1}}, r"c\.min, max: expected them of numbers"),
        ({"x": {}, "length": {}}, r"features\.length: expected another name, ragline writes"),
        ({"x": {"derived": True}}, r"features\.x\.derived: expected it of time_delta, "),
        (
            {"x": {}, "a b": {"type": "category"}, "a-b": {"type": "category"}},
            r"features: feature 'a-b': the encoder would have two inputs",
        ),
    ],
    ids=str,
)
def test_a_mistake_names_its_line(tmp_path, table, line):
    with pytest.raises(config.ConfigError, match=line) as caught:
        _load(tmp_path, table)
    assert str(caught.value).startswith(f"{tmp_path}/c.toml: ")


def test_a_schema_beside_the_table_is_a_mistake(tmp_path):
    with pytest.raises(
        config.ConfigError, match=r"schema: expected it or \[features\], received both"
    ):
        _load(tmp_path, {"x": {}}, schema="gestures")


def test_a_value_out_of_range_and_a_word_that_is_no_class_are_foreseen(tmp_path):
    rows = "".join(f'{{"x": [{i % 3}, 1.5], "label": "{"abc"[i % 3]}"}}\n' for i in range(60))
    (tmp_path / "a.jsonl").write_text(rows)
    table = {"x": {"max": 1.8}, "label": {"type": "context", "classes": ["a", "b"]}}
    stops = plan.plan_run(_load(tmp_path, table)).stops
    assert "schema: 'x': 2 is above its max of 1.8" in stops
    assert "schema: 'label': expected one of its string_domain, received c" in stops


def test_what_has_no_logarithm_is_foreseen_with_the_transform_that_takes_it(tmp_path, capsys):
    rows = "".join(f'{{"x": [{i % 9}, 2.5], "y": [1, 2]}}\n' for i in range(60))
    (tmp_path / "a.jsonl").write_text(rows)
    _load(tmp_path, {"x": {"transform": "log", "unit": "mg"}, "y": {}})
    assert main(["plan", str(tmp_path / "c.toml")]) == exits.BAD_DATA
    text = capsys.readouterr().out
    assert "feature 'x', step 0: expected a number above 0, of which there is a log" in text
    assert "feature 'x' is not above 0 throughout: transform = \"signed_log\" takes any" in text
    planned = plan.plan_run(_load(tmp_path, {"x": {"transform": "signed_log"}, "y": {}}))
    assert not planned.preview.reasons
    assert [column.transform for column in planned.preview.columns] == ["signed_log", "none"]


def test_what_is_missing_where_nothing_may_be_is_named_with_the_line_to_change(tmp_path):
    """A column that was complete when `init` looked at it, and is not in a later delivery."""
    rows = "".join(
        f'{{"x": [1, 2.5], "y": [{"null" if i % 9 == 4 else i}, 1.5]}}\n' for i in range(60)
    )
    (tmp_path / "a.jsonl").write_text(rows)
    stops = plan.plan_run(_load(tmp_path, {"x": {}, "y": {}})).stops
    [sentence] = [stop for stop in stops if "may not be missing" in stop]
    assert sentence.startswith("feature 'y' may not be missing: `missing = true` in its line of [")
    assert not plan.plan_run(_load(tmp_path, {"x": {}, "y": {"missing": True}})).preview.reasons
