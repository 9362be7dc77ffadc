"""An encoder states how the files of its training were read, and `ragline encode` reads so."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ragline
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.options import SEQUENCE, InputOptions, StepOptions, input_facts
from ragline.components.push.release import release_version, transaction
from ragline.components.serving import facts
from ragline.pipeline import config as configuration
from ragline.pipeline.bulk import encode_files
from ragline.pipeline.demo.synth import FEATURES

CONFIG = """
name = "gestures"
schema = "gestures"
workdir = "work"
[input]
train = "none/*.csv"
group_by = ["gesture"]
order_by = "at"
time_format = "%d.%m.%Y %H:%M:%S"
missing_text = ["-"]
delimiter = ";"
decimal = ","
[input.steps]
duplicate_time = "first"
max_length = 50
stride = 40
"""


@pytest.fixture
def config(tmp_path) -> pathlib.Path:
    path = tmp_path / "gestures.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def pushed_encoder(config, encoder, tmp_path) -> pathlib.Path:
    """Version 1 of the work directory; it states the input of the configuration."""
    model = shutil.copytree(encoder, tmp_path / "model")
    options = input_facts(configuration.load(config).input)
    stated = facts.InputFacts(options=options["options"], fields=tuple(options["fields"]))
    facts.write(model, dataclasses.replace(facts.read(model), input=stated))
    serving = tmp_path / "work" / "serving"
    source = release_version.ModelSource(fingerprint="f", run_id="r", reasons=(), source="s")
    return release_version.release(transaction.stage(model, serving), source).path


@pytest.fixture
def table(gestures, tmp_path) -> pathlib.Path:
    """A row a step in any order, some twice; decimal commas, and `-` for what is missing."""
    lines = []
    for record in gestures[:12]:
        for place, step in enumerate(
            zip(*(record["features"][name] for name in FEATURES), strict=True)
        ):
            time = f"01.02.2026 00:{place // 60:02}:{place % 60:02}"
            cells = [f"{value:.6f}" for value in np.nan_to_num(np.array(step, np.float64))]
            if place % 5 == 1:
                cells[FEATURES.index("heart_rate")] = "-"
            lines.append(";".join([record["sequence_id"], time, *cells]).replace(".", ","))
            lines[-1] = lines[-1].replace("01,02,2026", "01.02.2026")
            if place % 10 == 0:
                lines.append(lines[-1])
    np.random.default_rng(0).shuffle(lines)
    path = tmp_path / "new" / "steps.csv"
    path.parent.mkdir()
    path.write_text("\n".join([";".join(["gesture", "at", *FEATURES]), *lines]) + "\n")
    return path


def _rows(source: pathlib.Path, table: pathlib.Path, output: pathlib.Path, *more: str) -> pa.Table:
    encode_files.encode(encode_files.read_request(str(source), str(table), more), output)
    return pq.read_table(output)


def test_by_the_encoder_and_by_the_configuration_the_embeddings_are_equal(
    config, pushed_encoder, table, tmp_path
):
    by_config = _rows(config, table, tmp_path / "by_config")
    by_encoder = _rows(pushed_encoder, table, tmp_path / "by_encoder")
    assert by_encoder.equals(by_config)
    assert len(by_config) > 12, "windows"
    assert max(by_config["length"].to_pylist()) == 50


def test_what_the_command_line_says_comes_before_what_the_encoder_states(
    pushed_encoder, table, tmp_path
):
    cut = _rows(pushed_encoder, table, tmp_path / "cut", "input.steps.max_length=40")
    assert max(cut["length"].to_pylist()) == 40
    with pytest.raises(BadDataError, match=r"quarantine\.max_share"):  # `-` is no number any more.
        _rows(pushed_encoder, table, tmp_path / "other", 'input.missing_text=["NaN"]')


def test_what_is_stated_is_how_files_are_read_and_not_which():
    steps = StepOptions(session_gap=60.0)
    options = InputOptions(
        train="in/{machine}/{SPAN}.csv", spans=7, group_by=("id",), order_by="t",
        entity="machine", eval_share=0.5, allow_outside=True, steps=steps,
    )  # fmt: skip
    stated = input_facts(options)
    assert stated["fields"] == ["machine"]
    named = {field.name for field in dataclasses.fields(InputOptions)}
    assert named - stated["options"].keys() == {
        "train", "eval", "spans", "max_gap", "span", "eval_share", "eval_from", "allow_outside",
    }  # fmt: skip
    assert stated["options"]["steps"] == dataclasses.asdict(steps)


@pytest.mark.parametrize(
    ("pattern", "entity"), [("new/*.csv", SEQUENCE), ("new/{machine}/*.csv", "machine")]
)
def test_an_entity_of_a_field_that_the_new_pattern_lacks_is_each_sequence(
    pushed_encoder, tmp_path, pattern, entity
):
    options = InputOptions(train="in/{machine}/*.csv", entity="machine")
    stated = input_facts(options)
    changed = facts.InputFacts(options=stated["options"], fields=tuple(stated["fields"]))
    model = shutil.copytree(tmp_path / "model", tmp_path / "9")
    facts.write(model, dataclasses.replace(facts.read(model), input=changed))
    assert encode_files.read_request(str(model), pattern).input.entity == entity


def test_an_encoder_of_an_older_ragline_is_named_with_what_to_do(pushed_encoder, table, tmp_path):
    (tmp_path / "model" / "assets.extra" / "encoder.json").write_text('{"features": []}')
    with pytest.raises(ragline.NoEncoderError, match="an older ragline pushed the model: train"):
        _rows(tmp_path / "model", table, tmp_path / "out")
    (tmp_path / "model" / "assets.extra" / "encoder.json").unlink()
    with pytest.raises(ragline.NoEncoderError, match="received no file; it is no model of ragl"):
        ragline.Encoder(tmp_path / "model")
