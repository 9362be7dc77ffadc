"""`ragline plan`: what it says of the demo data, and what it says is wrong."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline import schemas
from ragline.components.contract import exits
from ragline.components.contract.columns import length_bucket
from ragline.components.train.options import HeadOptions
from ragline.pipeline import config
from ragline.pipeline.cli.main import main
from ragline.pipeline.demo import synth
from ragline.pipeline.onboard import plan, plan_text

CONFIG = """
name = "n"
schema = "gestures"
workdir = "w"
[input]
train = "data/*.jsonl"
"""
GESTURES = [*synth.gestures(sequences=300, seed=1)]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    _write(tmp_path, GESTURES)
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def _write(folder: pathlib.Path, records: list[Any]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / "data" / "a.jsonl").write_text("".join(lines))


def _look(folder: pathlib.Path, *overrides: str, **replaced: Any) -> plan.Plan:
    loaded = config.load(folder / "c.toml", overrides)
    return plan.plan_run(dataclasses.replace(loaded, **replaced))


def _foresee(loaded: config.Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return plan.foresee(loaded, config.read_contract(loaded))


def _certain(loaded: config.Config) -> tuple[str, ...]:
    return _foresee(loaded)[0]


def test_nothing_is_wrong_with_the_demo(folder, capsys):
    assert main(["plan", str(folder / "c.toml")]) == exits.DONE
    text = capsys.readouterr().out
    assert "1 file, " in text and "read 1 as jsonl" in text
    assert "300 read, 300 accepted, 0 rejected" in text
    assert "saturation" in text and "constant" in text
    assert "Nothing found that would stop a run." in text
    assert not (folder / "w").exists()


def test_the_numbers_are_those_of_the_data(folder, capsys):
    assert main(["plan", str(folder / "c.toml"), "--json"]) == exits.DONE
    planned = json.loads(capsys.readouterr().out)
    lengths = [len(record["features"]["ax"]) for record in GESTURES]
    assert planned["lengths"]["min"] == min(lengths) and planned["lengths"]["max"] == max(lengths)
    assert sum(planned["length_buckets"].values()) == 300
    assert sum(planned["sequences"].values()) == 300
    assert planned["training"]["steps"] == sum(lengths)
    values = [v for record in GESTURES for v in record["features"]["heart_rate"]]
    missing = {feature["name"]: feature["missing"] for feature in planned["features"]}
    assert missing["heart_rate"] == pytest.approx(values.count(None) / len(values))
    assert planned["context"]["label"]["(none)"] == sum("label" not in r for r in GESTURES)
    assert 0 < planned["training"]["padding_waste"] < 1
    assert planned["stops"] == []


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["input.eval_share=1e-9"], "insufficient_data: the eval split is empty"),
        (["input.eval_share=0.01"], "the eval split"),
        (["input.steps.max_length=5", 'input.steps.too_long="reject"'], "quarantine: "),
    ],
)
def test_what_would_stop_the_run_is_said(folder, capsys, overrides, expected):
    sets = [part for override in overrides for part in ("--set", override)]
    assert main(["plan", str(folder / "c.toml"), *sets]) == exits.BAD_DATA
    assert expected in capsys.readouterr().out


def test_values_outside_of_the_schema_stop_the_run(folder):
    _write(folder, [*GESTURES, GESTURES[0] | {"sequence_id": "new", "label": "wave"}])
    assert any("'label'" in s and "wave" in s for s in _look(folder).stops)


def test_a_head_must_know_its_classes(folder):
    head = HeadOptions(
        name="g", column="label", type="classification", classes=("circle", "zigzag")
    )
    [sentence] = _look(folder, heads=(head,)).stops
    assert sentence.startswith("heads.0.classes: ") and "figure_eight" in sentence
    _write(folder, [{k: v for k, v in r.items() if k != "label"} for r in GESTURES])
    [sentence] = _look(folder, heads=(head,)).stops
    assert "no sequence has a 'label'" in sentence


def test_what_is_certain_stops_a_run_before_it_trains(folder):
    head = HeadOptions(name="g", column="label", type="classification", classes=("circle", "line"))
    loaded = config.load(folder / "c.toml")
    assert _certain(loaded) == ()
    [sentence] = _certain(dataclasses.replace(loaded, heads=(head,)))
    assert sentence.startswith("heads.0.classes: ")
    few = config.load(folder / "c.toml", ["input.eval_share=0.05"])
    [sentence] = _certain(few)
    assert "fewer than min_eval = 30; paste `eval_share = 0.15` below [input]" in sentence
    assert _certain(config.load(folder / "c.toml", ["input.eval_share=0.15"])) == ()
    _write(folder, GESTURES[:20])
    [sentence] = _certain(loaded)
    assert "into gestures.verdict.toml beside the schema" in sentence


def test_what_has_nothing_to_learn_stops_a_run(folder):
    loaded = config.load(folder / "c.toml")
    head = HeadOptions(
        name="g", column="label", type="classification", classes=("circle", "zigzag", "wave")
    )
    same = [record | {"label": "circle"} for record in GESTURES]
    _write(folder, same)
    stops, notes = _foresee(dataclasses.replace(loaded, heads=(head,)))
    assert stops == (
        "heads.0: expected a 'label' that differs between sequences, all that have one have "
        "circle: there is nothing to tell apart; take the head out",
    )
    assert "heads.0.classes: no sequence has the 'label' zigzag, wave" in notes
    flat = [
        record | {"features": {n: [1.0] * len(v) for n, v in record["features"].items()}}
        for record in GESTURES
    ]
    _write(folder, flat)
    [sentence] = _certain(loaded)
    assert sentence.startswith("schema: expected a feature that varies, every one of ")
    assert any(note.startswith("constant, and so of no use: ") for note in _foresee(loaded)[1])


def test_a_run_says_it_at_once(folder, capsys):
    arguments = ["run", str(folder / "c.toml"), "--set", "input.eval_share=0.05", "--json"]
    assert main(arguments) == exits.BAD_DATA
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert summary["exit_code"] == exits.BAD_DATA and summary["train"] is None
    assert "paste `eval_share = 0.15` below [input]" in shown.err


def _table(folder: pathlib.Path, rows: str, **options: Any) -> plan.Plan:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "a.csv").write_text(rows)
    assert main(["init", "--input", f"{folder}/data/a.csv", "--output", f"{folder}/t.toml"]) == 0
    return plan.plan_run(config.load(folder / "t.toml", [f"{k}={v}" for k, v in options.items()]))


@pytest.mark.parametrize(("options", "is_said"), [({}, True), ({"input.steps.resample": 1}, False)])
def test_equal_times_in_a_sequence_are_said_unless_they_become_one_step(tmp_path, options, is_said):
    rows = "".join(f"s{i},{t // 2},{i + t}\n" for i in range(60) for t in range(6))
    notes = _table(tmp_path, f"sequence_id,t,x\n{rows}", **options).notes
    said = [note.startswith("180 steps have the time of the step before") for note in notes]
    assert any(said) == is_said


def test_a_category_of_as_many_words_as_steps_is_said(folder):
    text = schemas.locate("gestures").read_text()
    category = (
        'feature { name: "note" type: BYTES presence { min_fraction: 1 min_count: 1 } '
        "value_count { min: 1 } }\n"
    )
    shown = (
        'tensor_representation { key: "note" value { ragged_tensor { feature_path { step: "note" } '
        "row_partition_dtype: INT64 } } }"
    )
    at = text.index("tensor_representation {")
    (folder / "s.pbtxt").write_text(category + text[:at] + shown + text[at:])
    records = [
        {**r, "features": {**r["features"], "note": [f"{r['sequence_id']}-{t}" for t in range(n)]}}
        for r in GESTURES
        for n in [len(r["features"]["ax"])]
    ]
    _write(folder, records)
    notes = _look(folder, f"schema={folder}/s.pbtxt").notes
    assert any("expected few words that come again" in note for note in notes)


def test_no_input_is_bad_data_and_no_traceback(tmp_path, capsys):
    (tmp_path / "c.toml").write_text(CONFIG)
    assert main(["plan", str(tmp_path / "c.toml")]) == exits.BAD_DATA
    assert "no_input" in capsys.readouterr().err


def test_words_from_the_data_cannot_steer_the_terminal(folder, capsys):
    _write(folder, [r | {"label": "\x1b[2J"} for r in GESTURES])
    main(["plan", str(folder / "c.toml")])
    assert "\x1b" not in capsys.readouterr().out


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=50))
def test_the_histogram_counts_every_length_in_its_bucket(lengths):
    counted = plan_text.histogram(np.array(lengths))
    for length in lengths:
        assert counted[length_bucket(length)] >= 1
    assert sum(counted.values()) == len(lengths)
    assert next(iter(counted.values())) and [*counted.values()][-1]


@pytest.mark.parametrize(
    ("number", "text"), [(812, "812 B"), (3_400_000, "3.4 MB"), (5e12, "5.0 TB")]
)
def test_sizes_are_written_for_people(number, text):
    assert plan_text.size(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (185, "3 min"), (7200, "2.0 h")])
def test_durations_are_written_for_people(seconds, text):
    assert plan_text.duration(seconds) == text


def test_a_sample_makes_the_training_smaller_and_is_said(folder, capsys):
    whole, half = _look(folder), _look(folder, "train.sample_steps=9000")
    assert whole.training is not None and half.training is not None
    assert whole.training.of_steps == whole.training.steps == half.training.of_steps
    train, evaluation = (
        int(whole.preview.lengths[whole.preview.split == name].sum()) for name in ("train", "eval")
    )
    assert train > 9000 > evaluation
    assert half.training.steps == 9000 + evaluation
    assert half.training.sequences["eval"] == whole.training.sequences["eval"]
    share = half.training.sequences["train"] / whole.training.sequences["train"]
    assert share == pytest.approx(9000 / train, abs=0.01)
    assert half.training.seconds < whole.training.seconds
    assert half.notes == whole.notes
    assert main(["plan", str(folder / "c.toml"), "--set", "train.sample_steps=9000"]) == exits.DONE
    text = capsys.readouterr().out
    assert f"{9000 + evaluation:,} steps, a sample of {train + evaluation:,}" in text


def test_a_sample_that_is_too_small_is_noted(folder):
    plans = {wanted: _look(folder, f"train.sample_steps={wanted}") for wanted in (1000, 1)}
    [few] = set(plans[1000].notes) - set(_look(folder).notes)
    assert few.startswith("train.sample_steps = 1000 leaves about ")
    assert "sequences to evaluate by, fewer than min_eval = 30" in few
    assert any("steps of an entity, of which all are kept or none" in n for n in plans[1].notes)
