"""Verdict files: what is read, and that each mistake is refused with its file and key."""

import pathlib

import pytest

from ragline import schemas
from ragline.components.evaluate.verdict.rules import Rule, Rules
from ragline.pipeline.config import ConfigError, load, read_contract

CONFIG = """
name = "x"
schema = "mine.pbtxt"
workdir = "work"
[input]
train = "data/*.jsonl"
[[heads]]
name = "gesture"
column = "label"
type = "classification"
classes = ["circle", "swipe"]
"""


@pytest.fixture
def read(tmp_path):
    """A verdict file's text -> the rules, by way of a configuration."""

    def read(text: str | None) -> Rules:
        schema = schemas.locate("gestures").read_text(encoding="utf-8")
        (tmp_path / "mine.pbtxt").write_text(schema, encoding="utf-8")
        if text is not None:
            (tmp_path / "mine.verdict.toml").write_text(text, encoding="utf-8")
        (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
        return read_contract(load(tmp_path / "config.toml")).rules

    return read


def test_a_rule_on_the_probe_of_a_label_is_read(read):
    text = '[[rules]]\nmetric = "probe/label/auc"\nagainst = "statistics"\nat_least = 1.0'
    assert read(text).rules == (Rule(metric="probe/label/auc", against="statistics", at_least=1.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('metric = "probe/nothing/auc"', "rules.0.metric: expected one of"),
        ('metric = "probe/label/auc"\nslice = "length_bucket=8-15"', "the only slice of probe/"),
        (
            'metric = "probe/label/auc"\nagainst = "last_value"',
            "against: expected one of pca, statistics, untrained with probe/label/auc, received",
        ),
        (
            'metric = "masked_mse"\nagainst = "statistics"',
            "expected probe/<label>/<measure> against statistics, which reconstruct nothing",
        ),
    ],
)
def test_a_mistake_in_a_rule_on_a_label_is_refused(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read(f"[[rules]]\nat_least = 1.0\n{text}")


def test_without_a_file_the_defaults_hold(read):
    assert read(None) == Rules(min_eval=30, most_worse_than_newest=0.05, rules=())


def test_every_key_is_read(read):
    rules = read("""
        min_eval = 100
        most_worse_than_newest = 0.02

        [[rules]]
        metric = "masked_mse/ax"
        slice = "length_bucket=8-15"
        at_most = 0.9
        at_least = 0.1
        bound = "upper"
        min_sequences = 50

        [[rules]]
        metric = "normalised_mse"
        against = "newest"
        by = "difference"
        at_most = 0.01

        [[rules]]
        metric = "head/gesture/accuracy"
        slice = "label=*"
        at_least = 0.5

        [[rules]]
        metric = "embedding/effective_rank"
        at_least = 4
    """)
    assert rules.min_eval == 100
    assert rules.most_worse_than_newest == 0.02
    assert rules.rules == (
        Rule(
            metric="masked_mse/ax",
            slice="length_bucket=8-15",
            at_most=0.9,
            at_least=0.1,
            bound="upper",
            min_sequences=50,
        ),
        Rule(metric="normalised_mse", against="newest", by="difference", at_most=0.01),
        Rule(metric="head/gesture/accuracy", slice="label=*", at_least=0.5),
        Rule(metric="embedding/effective_rank", at_least=4.0),
    )


def _rule(text: str) -> str:
    return f"[[rules]]\nmetric = 'masked_mse'\nat_most = 1.0\n{text}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_eval = 0", "min_eval: expected at least 1, received 0"),
        ("min_eval = '5'", "min_eval: expected a valid integer, received '5'"),
        ("finite_share = 0.9", "finite_share: unknown key; expected one of min_eval, most_worse"),
        ("most_worse_than_newest = -0.1", "most_worse_than_newest: expected a share of at least 0"),
        ("[[rules]]\nmetric = 'masked_mse'", "rules.0.at_most: expected at_most or at_least"),
        ("[[rules]]\nat_most = 1.0", "rules.0.metric: expected a value, received none"),
        (_rule("minimum = 1"), "rules.0.minimum: unknown key; expected one of metric, slice"),
        (_rule("metric2 = 1"), "rules.0.metric2: unknown key"),
        (_rule("bound = 'top'"), "rules.0.bound: expected 'value', 'lower' or 'upper'"),
        (_rule("min_sequences = 0"), "rules.0.min_sequences: expected at least 1, received 0"),
        (_rule("by = 'difference'"), "rules.0.by: expected against with it, received none"),
        (_rule("against = 'zero'"), "rules.0.against: expected one of training_mean, sequence_mea"),
        (
            _rule("against = 'newest'"),
            "rules.0.metric: expected 'normalised_mse' against the newest blessed model, received "
            "'masked_mse': its standardised units are those of its own training data",
        ),
        (
            "[[rules]]\nmetric = 'steps'\nagainst = 'pca'\nat_most = 1.0",
            "rules.0.metric: expected one of masked_mse, masked_mae, masked_rmse, normalised_mse, "
            "explained_variance with against, received 'steps'",
        ),
        (
            "[[rules]]\nmetric = 'explained_variance'\nagainst = 'pca'\nat_least = 0.9",
            "rules.0.by: expected 'difference' with explained_variance, which may be 0 or below",
        ),
        ("[[rules]]\nmetric = 'mse'\nat_most = 1.0", "rules.0.metric: expected one of masked_mse"),
        (
            "[[rules]]\nmetric = 'head/other/accuracy'\nat_most = 1.0",
            "received 'head/other/accuracy'",
        ),
        (_rule("slice = 'speed=1'"), "rules.0.slice: expected overall or one of length_bucket="),
        (_rule("slice = 'label'"), "rules.0.slice: expected overall or one of length_bucket="),
        (
            "[[rules]]\nmetric = 'embedding/length_r2'\nat_most = 0.5\nslice = 'label=*'",
            "rules.0.slice: expected overall, the only slice of embedding/length_r2",
        ),
        ("min_eval = ", "Invalid value (at end of document)"),
    ],
)
def test_a_mistake_is_refused_with_file_and_key(read, text, message):
    with pytest.raises(ConfigError) as raised:
        read(text)
    [line] = str(raised.value).splitlines()
    file, _, rest = line.partition(".toml: ")
    assert file.endswith("mine.verdict")
    assert message in rest


@pytest.mark.parametrize(
    "path", sorted(schemas.FOLDER.glob("*.verdict.toml")), ids=lambda p: p.name
)
def test_the_shipped_files_are_sound(path: pathlib.Path):
    name = path.name.removesuffix(".verdict.toml")
    example = pathlib.Path(__file__).parents[2] / "examples" / f"{name}.toml"
    assert read_contract(load(example)).rules.rules
