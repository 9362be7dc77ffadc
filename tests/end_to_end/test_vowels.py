"""Japanese Vowels, the official split: the pipeline, a head on the speaker, and the strategies."""

import json
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from commands import Started, finish, ragline
from conftest import JAPANESE_VOWELS
from end_to_end import looks


def test_the_official_split_of_japanese_vowels(vowels_run):
    assert vowels_run.exit_code == 0, vowels_run.stderr
    ingested = vowels_run.summary["input"]
    assert ingested["by_split"] == {
        "train": {"sequences": 270, "steps": 4274},
        "eval": {"sequences": 370, "steps": 5687},
    }
    assert ingested["quarantined"] == 0
    baselines = vowels_run.summary["baselines"]
    # 0.5458 and 0.5364 would mean that padding was counted.
    assert baselines["training_mean"]["train"]["masked_mse"] == pytest.approx(1.0, abs=1e-6)
    assert baselines["training_mean"]["eval"]["masked_mse"] == pytest.approx(1.0121, abs=5e-5)
    assert baselines["sequence_mean"]["train"]["masked_mse"] == pytest.approx(0.4606, abs=5e-5)
    assert baselines["sequence_mean"]["eval"]["masked_mse"] == pytest.approx(0.4643, abs=5e-5)


def test_the_other_baselines_of_japanese_vowels(vowels_run):
    """The PCA has 32 components, as many as the code has numbers."""
    baselines = vowels_run.summary["baselines"]
    assert baselines["pca"]["eval"]["masked_mse"] == pytest.approx(0.0380, abs=5e-5)
    assert baselines["last_value"]["eval"]["masked_mse"] == pytest.approx(0.1631, abs=5e-5)
    probes = vowels_run.summary["embedding"]["probes"]["label"]
    assert probes["labelled"] == 370
    for method in ("nearest_neighbour", "logistic_regression"):
        assert probes["model"][method] > 2 * probes["length"][method]


def test_a_head_is_scored_over_the_eval_split(vowels_run):
    """By the same weights, beside the oracle, from the raw files on."""
    splits, labels = {}, []
    for split in ("TRAIN", "TEST"):
        text = (JAPANESE_VOWELS / f"JapaneseVowels_{split}.ts").read_text()
        lines = [line.split(":") for line in text.partition("@data\n")[2].splitlines()]
        splits[split] = [
            np.array([column.split(",") for column in columns], np.float32).T
            for *columns, _ in lines
        ]
        labels = [label for *_, label in lines]
    weights = looks.weights(vowels_run.serving[0])
    values = oracle.standardise(splits["TRAIN"], splits["TEST"])
    kernel, bias = weights[-2:]
    logits = [oracle.encode(sequence, weights) @ kernel + bias for sequence in values]
    losses = [oracle.cross_entropy(z, int(y) - 1) for z, y in zip(logits, labels, strict=True)]
    right = [int(z.argmax()) == int(y) - 1 for z, y in zip(logits, labels, strict=True)]
    loss = vowels_run.summary["metrics"]["overall"]["head/speaker/loss"]
    assert loss["value"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert loss["count"] == len(labels)
    assert looks.metric(vowels_run, "head/speaker/accuracy") == pytest.approx(np.mean(right))
    trained = vowels_run.summary["train"]["heads"]["speaker"]
    assert looks.metric(vowels_run, "head/speaker/loss") == pytest.approx(
        trained["eval_loss"], rel=1e-5
    )


def _compare(*words: str) -> int:
    """`ragline compare` of the run's own strategy and the textbook model alone."""
    from ragline.components.runtime import cores
    from ragline.pipeline.cli.main import main
    from ragline.pipeline.runs import runner

    cores.batch_shards = lambda device: 1
    runner.padding = SimpleNamespace(STRATEGIES=("crop", "keras"))
    return main(["compare", *words])


def test_compare_shows_the_padding_in_the_textbook_model(vowels_run):
    """On the run's own work directory: `crop` comes from the cache."""
    words = (*vowels_run.arguments, "--json", "--workdir", str(vowels_run.workdir))
    done = finish(Started(_compare, *words))
    assert done.returncode == 0, done.stderr
    crop, keras = json.loads(done.stdout)
    assert (crop["padding"], keras["padding"]) == ("crop", "keras")
    assert crop["loss_share"] == crop["gradient_share"] == 0.0
    assert crop["reported_loss"] == pytest.approx(crop["train_mse"], rel=1e-6)
    assert crop["eval_mse"] == pytest.approx(looks.metric(vowels_run, "masked_mse"), rel=1e-5)
    assert keras["loss_share"] > 0.01
    assert keras["gradient_share"] > 0.01
    assert keras["reported_loss"] != pytest.approx(keras["train_mse"], rel=0.01)
    assert [path.name for path in vowels_run.serving] == ["1"]


@pytest.mark.full
def test_compare_tells_the_strategies_apart(vowels_run):
    """On the run's own work directory, so that only training and evaluation are new."""
    done = ragline(
        *("compare", *vowels_run.arguments, "--json"),
        *("--workdir", vowels_run.workdir, "--set", "train.epochs=1"),
    )
    assert done.returncode == 0, done.stderr
    rows = {row["padding"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["crop", "equal_length", "remask", "keras"]
    for name in ("crop", "equal_length", "remask"):
        assert rows[name]["loss_share"] == rows[name]["gradient_share"] == 0.0
        assert rows[name]["reported_loss"] == pytest.approx(rows[name]["train_mse"], rel=1e-6)
    assert rows["remask"]["train_mse"] == pytest.approx(rows["crop"]["train_mse"], rel=1e-5)
    assert rows["equal_length"]["padding_waste"] == rows["equal_length"]["bias"] == 0.0
    assert rows["keras"]["loss_share"] > 0.01
    assert rows["keras"]["gradient_share"] > 0.01
    assert rows["keras"]["reported_loss"] != pytest.approx(rows["keras"]["train_mse"], rel=0.01)
    assert [path.name for path in vowels_run.serving] == ["1"]
