"""What is served is held against the configuration before anything runs."""

import json
import pathlib
import tomllib

import pytest

from ragline.components.contract.signatures import ENCODER_FILE
from ragline.pipeline import config as configuration
from ragline.pipeline.cli.main import main
from ragline.pipeline.config import ConfigError
from ragline.pipeline.runs import runner
from ragline.pipeline.served import signature, versions

FEATURES = ("ax", "ay", "az", "gz", "heart_rate", "saturation")


def _serve(workdir: pathlib.Path, number: int = 1, **facts: object) -> pathlib.Path:
    file = workdir / "serving" / str(number) / ENCODER_FILE
    file.parent.mkdir(parents=True)
    stated = {
        "pipeline": "gestures",
        "features": [{"name": name} for name in FEATURES],
        "categories": [],
        "embedding_size": 32,
    }
    file.write_text(json.dumps(stated | facts))
    return file


@pytest.fixture
def load(tmp_path):
    (tmp_path / "data.jsonl").write_text("{}\n")

    def load(*overrides: str) -> configuration.Config:
        given = (f"input.train={tmp_path}/data.jsonl", *overrides)
        return configuration.load("examples/gestures.toml", given, str(tmp_path / "work"))

    return load


def _wanted(config: configuration.Config) -> signature.Signature:
    return signature.configured(config, configuration.read_contract(config).columns)


def _check(config: configuration.Config, why: str) -> str:
    return signature.check(_wanted(config), pathlib.Path(config.workdir), why)


def _tree(folder: pathlib.Path) -> dict[pathlib.Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def _named(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


CHANGED = {
    "a feature less": {"features": _named(*FEATURES[:-1])},
    "a feature more": {"features": _named(*FEATURES, "gx")},
    "another order": {"features": _named(*reversed(FEATURES))},
    "another name": {"features": _named("hr", "spo2", "rr")},
    "a category": {"categories": [{"name": "activity", "kind": "bytes"}]},
    "another size": {"embedding_size": 16},
}


def test_before_anything_was_pushed_nothing_is_compared(load, tmp_path):
    assert _check(load(), "") == ""
    (tmp_path / "work" / "serving" / "7").mkdir(parents=True)
    assert _check(load(), "") == ""


def test_the_same_signature_needs_no_reason(load, tmp_path):
    _serve(tmp_path / "work")
    assert _check(load(), "") == ""
    assert _check(load(), "to be sure") == ""


def test_another_transform_is_no_other_signature_but_its_errors_are_not_compared(load, tmp_path):
    """A caller gives raw values and gets as many numbers, as after a change of unit."""
    features = [{"name": name, "transform": "log" if name == "gz" else "none"} for name in FEATURES]
    model = _serve(tmp_path / "work", features=features).parents[1]
    assert _check(load(), "") == ""
    assert signature.unlike(_wanted(load()), model) == (
        "its errors of gz are of transform = 'log', those of this one 'none'"
    )


@pytest.mark.parametrize("changed", CHANGED)
@pytest.mark.parametrize("pipeline", ["gestures", None])
def test_another_signature_is_refused_and_nothing_is_touched(
    changed, pipeline, load, tmp_path, capsys
):
    _serve(tmp_path / "work", pipeline=pipeline, **CHANGED[changed])
    before = _tree(tmp_path)
    arguments = ["run", "examples/gestures.toml", "--workdir", str(tmp_path / "work")]
    assert main([*arguments, "--set", f"input.train={tmp_path}/data.jsonl"]) == 2
    message = capsys.readouterr().err
    assert "serves version 1" in message and '--new-signature "why"' in message
    assert ", ".join(FEATURES) in message and "embedding of 32" in message
    assert message.count("\n") == 1
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("changed", CHANGED)
def test_with_a_reason_the_change_is_said(changed, load, tmp_path):
    _serve(tmp_path / "work", **CHANGED[changed])
    sentence = _check(load(), "we bought a sensor")
    assert sentence.startswith('new signature: "we bought a sensor" (features ax, ay, az, gz, ')
    assert "; version 1 has features " in sentence


@pytest.mark.parametrize("why", ["", "I want to"])
def test_another_pipeline_is_refused_in_any_case(why, load, tmp_path):
    _serve(tmp_path / "work", pipeline="hospital", features=_named("hr", "spo2", "rr"))
    before = _tree(tmp_path)
    with pytest.raises(ConfigError) as refused:
        runner.run(load(), new_signature=why)
    message = str(refused.value)
    assert "belongs to pipeline 'hospital'" in message and "features hr, spo2, rr" in message
    assert "received pipeline 'gestures' (features ax, ay" in message
    for command in (
        lambda: runner.compare(load()),
        lambda: versions.roll_back(load(), why="w", to=None),
    ):
        with pytest.raises(ConfigError, match="belongs to pipeline 'hospital'"):
            command()
    assert _tree(tmp_path) == before


def test_the_newest_version_that_states_it_counts(load, tmp_path):
    """Not one below it, nor a folder whose name is no version, nor facts that cannot be read."""
    work = tmp_path / "work"
    _serve(work, 1, features=_named("old"))
    _serve(work, 10)
    (work / "serving" / "011" / "assets.extra").mkdir(parents=True)
    (work / "serving" / "011" / ENCODER_FILE).write_text('{"pipeline": "x", "features": []}')
    for number, text in enumerate(("", "[]", "[" * 100_000, '{"features": 3}', "\xff"), 12):
        _serve(work, number).write_text(text, "latin-1")
    (work / "serving" / "20" / ENCODER_FILE).mkdir(parents=True)
    assert _check(load(), "") == ""


def test_a_model_that_lacks_none_of_its_columns_is_still_compared(load, tmp_path):
    fewer = _serve(tmp_path / "work", 1, features=_named("gz", "ax")).parents[1]
    assert signature.unlike(_wanted(load()), fewer) is None
    other = _serve(tmp_path / "work", 2, features=_named("ax", "hr", "spo2")).parents[1]
    assert signature.unlike(_wanted(load()), other) == (
        "it takes hr, spo2, which the records do not have any more"
    )
    same = [{"name": name, "transform": "none"} for name in FEATURES]
    third = _serve(tmp_path / "work", 4, features=same).parents[1]
    assert signature.unlike(_wanted(load()), third) is None
    category = {"categories": [{"name": "activity", "kind": "bytes"}]}
    assert "it takes activity" in signature.unlike(
        _wanted(load()), _serve(tmp_path, 3, **category).parents[1]
    )


def test_the_options_of_every_example_configuration_are_compared_as_they_are_loaded():
    """A preset's size counts where the size itself is not given."""
    for path in pathlib.Path("examples").glob("*.toml"):
        given = tomllib.loads(path.read_text())
        stated = _wanted(configuration.load(str(path)))
        assert (stated.pipeline, stated.embedding_size >= 2) == (given["name"], True)
