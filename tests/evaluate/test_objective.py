"""The objective in the verdict, and the sentences on terms that ended badly."""

import math

import pytest

from ragline.components.contract.relative import NUMBERS
from ragline.components.evaluate.metrics import formulas
from ragline.components.evaluate.verdict import objective
from ragline.components.evaluate.verdict.judgement import judge
from ragline.components.evaluate.verdict.rules import Rules

FIRST = {"state": "first", "version": None, "why": None}
LOSS, ACCURACY = "head/gesture/loss", "head/gesture/accuracy"
ENTROPY = "category/activity/cross_entropy"


def _metrics(**values):
    return {name: {"value": value, "count": 10} for name, value in values.items()}


def _overall(numbers=0.3, loss=0.7, accuracy=0.9, entropy=1.0, poor=0.5):
    named = {NUMBERS: numbers, LOSS: loss, ACCURACY: accuracy, ENTROPY: entropy}
    named |= {"category/activity/accuracy": 0.6}
    named |= {"masked_mse": 0.3, "finite_share": 1.0, "finite_sequences": 100.0, "sequences": 100.0}
    named |= {"masked_mse/a": poor * 4.0, "variance/a": 4.0, "masked_mse/b": 1, "variance/b": 0.0}
    return _metrics(**named)


def _training(best_epoch=3, **starts):
    def term(name, weight, value, baseline, mode):
        start = {"start": starts.get(name, 9.0)}
        fields = {"name": name, "weight": weight, "value": value, "baseline": baseline}
        return fields | {"accuracy_of_mode": mode} | start

    return {
        "terms": [
            term(NUMBERS, 1.0, 0.123, 1.0, None),
            term(LOSS, 2.0, 0.123, 1.4, 0.73),
            term(ENTROPY, 1.0, 0.123, 2.0, 0.4),
        ],
        "best_epoch": best_epoch,
        "epochs": 20,
        "start_objective": 0.25,
    }


def _judge(overall, training, pca=0.4, **rules):
    table = {
        "model": {"overall": overall},
        "training_mean": {"overall": _metrics(masked_mse=1.0)},
        "pca": {"overall": _metrics(**{NUMBERS: pca})},
    }
    return judge(table, FIRST, Rules(**rules), training=training)


def test_the_objective_is_that_of_the_measured_model():
    """The oracle: (1 * 0.3 / 1 + 2 * 0.7 / 1.4 + 1 * 1.0 / 2) / 4."""
    below, sentence = objective.judge(_overall(), _training())
    assert below
    assert sentence == (
        "the objective 0.45 is below 1, that of the trivial baselines "
        f"({NUMBERS} 0.3, {LOSS} 0.5, {ENTROPY} 0.5)"
    )
    judged = _judge(_overall(), _training())
    assert judged.blessed and sentence in judged.reasons
    assert len(judged.reasons) == 4  # Nothing is said of terms that ended well.


@pytest.mark.parametrize("numbers", [3.0, math.nan, None])
def test_a_model_no_better_than_trivial_answers_is_not_blessed(numbers):
    judged = _judge(_overall(numbers=numbers), _training())
    assert not judged.blessed
    assert "is not below 1, that of the trivial baselines" in judged.reasons[0]


@pytest.mark.parametrize(
    ("overall", "training", "sentence"),
    [
        (
            {"numbers": 0.0369},
            _training(**{NUMBERS: 0.0072}),
            f"{NUMBERS} 0.0369 is above the 0.0072 it started from",
        ),
        ({"numbers": 0.611}, _training(), f"{NUMBERS} 0.611 is above the pca's 0.4"),
        (
            {"accuracy": 0.279},
            _training(),
            f"{ACCURACY} 0.279 is below the 0.73 of always giving the most frequent answer",
        ),
        ({"loss": 1.4}, _training(), f"{LOSS} 1.4 is not below the trivial baseline's 1.4"),
        ({"poor": 1.0}, _training(), "reconstructed no better than by their own mean: a"),
        (
            {},
            _training(best_epoch=0),
            "the start is kept: none of the 20 epochs had an objective below its 0.25",
        ),
    ],
)
@pytest.mark.parametrize("sequences", [100.0, 10.0])
def test_what_ends_badly_is_said_blessed_or_not(overall, training, sentence, sequences):
    measured = _overall(**overall) | _metrics(sequences=sequences, finite_sequences=sequences)
    judged = _judge(measured, training)
    assert judged.blessed is (sequences == 100.0)
    assert sentence in judged.reasons
    endings = ("above the", "below the 0", "trivial baseline's", "by their own", "start is kept")
    assert sum(any(part in r for part in endings) for r in judged.reasons) == 1


def test_a_verdict_by_a_sample_says_so_and_is_that_of_the_numbers():
    sampled = "trained on 5 of 10 steps, judged by 3 of 4 steps of the eval split, sampled by x"
    judged = _judge(_overall(), _training() | {"sampled": sampled})
    assert judged.blessed
    assert judged.reasons == (*_judge(_overall(), _training()).reasons, sampled)


def test_terms_are_called_what_their_metrics_are_called():
    heads = [("g", "classification"), ("s", "regression")]
    metrics = formulas.model_metrics(["a"], heads, ["c"])
    from ragline.components.train.options import HeadOptions, TrainOptions
    from ragline.components.train.terms import steps

    options = [
        HeadOptions(name="g", column="x", type="classification", classes=("1", "2")),
        HeadOptions(name="s", column="x", type="regression"),
    ]
    every = steps.of_model(TrainOptions(), options, ["c"])
    terms = [term.metric for term in every if term.is_judged]
    assert len(terms) == 4
    assert set(terms) < set(metrics)
