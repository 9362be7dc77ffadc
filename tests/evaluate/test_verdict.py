import math

import pytest

from ragline.components.evaluate.verdict.judgement import join_scores, judge, to_dict
from ragline.components.evaluate.verdict.rules import Rule, Rules

FIRST = {"state": "first", "version": None, "why": None}
COMPARED = {"state": "compared", "version": 3, "why": None}
NO_NEWEST = "this is the first model: there is no blessed one to compare it with"
FINITE = "all 100 sequences have a finite embedding and reconstruction"
BELOW = "masked_mse 0.4 is below the training mean's 1"


def _numbers(value, lower=None, upper=None):
    return {"value": value, "lower": lower, "upper": upper, "count": None}


def _slice(error=0.4, finite=100.0, sequences=100.0, normalised=0.4):
    return {
        "masked_mse": _numbers(error, error and error - 0.1, error and error + 0.1),
        "normalised_mse": _numbers(normalised),
        "masked_mse/a": _numbers(0.2),
        "variance/a": _numbers(1.0),
        "masked_mse/b": _numbers(0.6),
        "variance/b": _numbers(1.0),
        "finite_share": _numbers(finite / sequences if sequences else 0.0),
        "finite_sequences": _numbers(finite),
        "sequences": _numbers(sequences),
    }


def _table(baseline=1.0, newest=None, slices=None, **overall):
    table = {
        "model": {"overall": _slice(**overall)} | (slices or {}),
        "training_mean": {"overall": {"masked_mse": _numbers(baseline)}},
        "pca": {"overall": {"masked_mse": _numbers(0.3)}},
    }
    if newest is not None:
        table["newest"] = {"overall": newest}
    return table


def _newest(value, **by_feature):
    by_feature = by_feature or {"a": value, "b": value}
    named = {f"normalised_mse/{name}": _numbers(share) for name, share in by_feature.items()}
    return {"normalised_mse": _numbers(value)} | named


def _judge(rule: Rule, table, newest=FIRST):
    """The verdict and what it says beside the rules that are always on."""
    judged = judge(table, newest, Rules(rules=(rule,)))
    always = {FINITE, BELOW, NO_NEWEST}
    return judged.blessed, [reason for reason in judged.reasons if reason not in always]


def test_the_first_model_of_all_is_blessed_and_said_to_be_the_first():
    judged = judge(_table(), FIRST, Rules())
    assert judged.blessed
    assert judged.reasons == (FINITE, BELOW, NO_NEWEST)
    assert judged.forced is None


@pytest.mark.parametrize("error", [1.0, 1.5, math.inf, math.nan, None])
def test_one_that_does_not_beat_the_training_mean_is_not_blessed(error):
    judged = judge(_table(error=error), FIRST, Rules())
    assert not judged.blessed
    reason, note = judged.reasons
    assert "is not below the training mean's 1" in reason
    assert note == NO_NEWEST


def test_one_sequence_that_is_not_finite_is_enough():
    """A mean would not show it: TFMA blessed nine NaN in ten."""
    judged = judge(_table(finite=99.0), FIRST, Rules())
    assert not judged.blessed
    assert judged.reasons[0] == (
        "1 of 100 sequences have an embedding or a reconstruction that is not finite"
    )


@pytest.mark.parametrize(("sequences", "min_eval", "blessed"), [(29, 30, False), (30, 30, True)])
def test_too_few_sequences_bless_nothing(sequences, min_eval, blessed):
    table = _table(sequences=float(sequences), finite=float(sequences))
    judged = judge(table, FIRST, Rules(min_eval=min_eval))
    assert judged.blessed is blessed
    told = f"the eval split has {sequences} sequences, fewer than the {min_eval} of min_eval"
    assert (told in judged.reasons) is not blessed


def test_every_broken_rule_is_named():
    judged = judge(_table(error=2.0, finite=0.0, sequences=10.0), FIRST, Rules())
    assert len(judged.reasons) == 3 + 1  # And that there is no other model.


def test_an_empty_eval_split_blesses_nothing():
    table = _table(error=0.0, baseline=0.0, finite=0.0, sequences=0.0)
    assert not judge(table, FIRST, Rules(min_eval=1)).blessed


@pytest.mark.parametrize(
    ("newest", "blessed", "sentence"),
    [
        (0.39, True, "normalised_mse 0.4 is not above the newest blessed model's 0.39 times 1.05"),
        (0.38, False, "normalised_mse 0.4 is above the newest blessed model's 0.38 times 1.05"),
        (None, False, "normalised_mse of the newest blessed model is not there to be judged"),
    ],
)
def test_a_candidate_is_not_worse_than_the_newest_blessed_model(newest, blessed, sentence):
    judged = judge(_table(newest=_newest(newest)), COMPARED, Rules())
    assert judged.blessed is blessed
    assert sentence in judged.reasons


def test_two_models_are_compared_over_the_features_that_both_know():
    """The candidate has 0.2 on a and 0.6 on b."""
    table = _table(newest=_newest(0.1, a=0.21))
    judged = judge(table, COMPARED, Rules())
    assert judged.blessed
    assert judged.reasons[2] == (
        "normalised_mse 0.2 is not above the newest blessed model's 0.21 times 1.05"
    )


def test_models_without_a_feature_in_common_cannot_be_judged():
    judged = judge(_table(newest=_newest(0.1, z=0.1)), COMPARED, Rules())
    assert not judged.blessed
    assert judged.reasons[0] == "normalised_mse is not there to be judged"


@pytest.mark.parametrize(
    ("newest", "sentence"),
    [
        (
            {"state": "same", "version": 3, "why": None},
            "this is version 3, the newest blessed model, itself: there is nothing to compare",
        ),
        (
            {"state": "not_compared", "version": 3, "why": "OSError: no"},
            "version 3, the newest blessed model, cannot be compared with: OSError: no",
        ),
    ],
)
def test_what_is_not_compared_is_said(newest, sentence):
    judged = judge(_table(), newest, Rules())
    assert judged.blessed
    assert sentence in judged.reasons


@pytest.mark.parametrize(
    ("rule", "blessed", "sentence"),
    [
        (Rule(metric="masked_mse", at_most=0.4), True, "masked_mse 0.4 is not above 0.4"),
        (Rule(metric="masked_mse", at_most=0.39), False, "masked_mse 0.4 is above 0.39"),
        (Rule(metric="masked_mse", at_least=0.5), False, "masked_mse 0.4 is below 0.5"),
        (
            Rule(metric="masked_mse", at_most=0.39999),
            False,
            "masked_mse 0.4 is above 0.39999",
        ),
        (
            Rule(metric="masked_mse", at_most=0.49, bound="upper"),
            False,
            "the upper bound of masked_mse 0.5 is above 0.49",
        ),
        (
            Rule(metric="normalised_mse", at_most=0.9, bound="upper"),
            False,
            "the upper bound of normalised_mse is not there to be judged",
        ),
        (
            Rule(metric="masked_mse", at_most=1.0, against="pca"),
            False,
            "masked_mse 0.4 is above the pca's 0.3 times 1",
        ),
        (
            Rule(metric="masked_mse", at_most=0.11, against="pca", by="difference"),
            True,
            "masked_mse 0.4 is not above the pca's 0.3 + 0.11",
        ),
        (
            Rule(metric="masked_mse", at_most=1.0, slice="label=x"),
            False,
            "no sequence of the eval split has label=x",
        ),
        (Rule(metric="normalised_mse", at_most=1.0, against="newest"), True, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rule_in_a_sentence(rule, blessed, sentence):
    actual, reasons = _judge(rule, _table())
    assert actual is blessed
    assert reasons == ([sentence] if sentence else [])


def test_a_rule_for_each_slice_of_a_column():
    rule = Rule(metric="masked_mse", at_most=0.4, slice="length_bucket=*")
    slices = {
        "length_bucket=1": _slice(error=0.9, sequences=3.0),
        "length_bucket=8-15": _slice(error=0.412),
        "length_bucket=16-31": _slice(error=0.4),
        "label=x": _slice(error=0.9),
    }
    blessed, reasons = _judge(rule, _table(slices=slices))
    assert not blessed
    assert reasons == [
        "masked_mse 0.412 on length_bucket=8-15 is above 0.4",
        "masked_mse on length_bucket=1 is not judged: 3 sequences, fewer than 30",
    ]


def test_a_person_may_bless_over_rules_and_it_is_kept_why():
    judged = judge(_table(error=2.0), FIRST, Rules(), force_bless_reason="the test rig was broken")
    assert judged.blessed
    assert judged.forced == "the test rig was broken"
    assert judged.reasons == (
        'blessed by force: "the test rig was broken"',
        "masked_mse 2 is not below the training mean's 1",
        NO_NEWEST,
    )


def test_nobody_may_bless_a_model_that_answers_nan():
    judged = judge(_table(finite=99.0), FIRST, Rules(), force_bless_reason="please")
    assert not judged.blessed
    assert judged.forced is None
    assert judged.reasons[-1] == (
        'cannot be forced ("please"): a model must answer with finite numbers'
    )


def test_force_that_was_not_needed_leaves_no_mark_but_a_sentence():
    judged = judge(_table(), FIRST, Rules(), force_bless_reason="to be sure")
    assert judged.forced is None
    assert judged.reasons[-1] == 'nothing had to be forced ("to be sure")'


@pytest.mark.parametrize(("error", "force"), [(0.4, None), (2.0, None), (2.0, "let me")])
def test_a_new_signature_is_said_last_and_decides_nothing(error, force):
    sentence = 'new signature: "we bought a sensor" (features a, b; version 1 has features a)'
    plain = judge(_table(error=error), FIRST, Rules(), force)
    judged = judge(_table(error=error), FIRST, Rules(), force, sentence)
    assert (judged.blessed, judged.forced) == (plain.blessed, plain.forced)
    assert judged.reasons == (*plain.reasons, sentence)
    assert (plain.new_signature, judged.new_signature) == (None, sentence)


BESIDE = {
    "baselines": {"untrained": {"overall": {"masked_mse": _numbers(1.1)}, "label=rare": {}}},
    "baseline_model": FIRST,
    "embedding": {
        "sequences": 90,
        "model": {"effective_rank": 7.5, "length_r2": None},
        "neighbours_kept": None,
    },
}


def test_baselines_and_the_embedding_join_the_table():
    table = join_scores(_table(), BESIDE)
    assert table["untrained"] == {"overall": {"masked_mse": _numbers(1.1)}}
    assert table["model"]["overall"]["embedding/effective_rank"]["value"] == 7.5
    rule = Rule(metric="embedding/effective_rank", at_least=8.0)
    judged = judge(table, FIRST, Rules(rules=(rule,)))
    assert judged.reasons[0] == "embedding/effective_rank 7.5 is below 8"


def _probe(balanced, auc=0.5):
    return {
        "logistic_regression": 0.97, "logistic_regression_balanced": balanced, "auc": auc,
        "nearest_neighbour": 0.95,
    }  # fmt: skip


PROBES = {
    "label": {
        "labelled": 80,
        "model": _probe(0.5, auc=0.75),
        "pca": _probe(0.51, auc=0.5),
        "statistics": _probe(0.75, auc=1.0),
        "untrained": _probe(0.5),
    }
}


@pytest.mark.parametrize(
    ("against", "limit", "blessed", "sentence"),
    [
        (None, 0.7, True, "probe/label/auc 0.75 is not below 0.7"),
        ("pca", 1.25, True, "probe/label/auc 0.75 is not below the pca's 0.5 times 1.25"),
        ("statistics", 1.0, False, "probe/label/auc 0.75 is below the statistics's 1 times 1"),
    ],
)
def test_a_rule_holds_the_probe_of_a_label_against_a_baseline(against, limit, blessed, sentence):
    beside = BESIDE | {"embedding": BESIDE["embedding"] | {"probes": PROBES}}
    table = join_scores(_table(), beside)
    rule = Rule(metric="probe/label/auc", against=against, at_least=limit)
    judged = judge(table, FIRST, Rules(rules=(rule,)))
    assert judged.blessed is blessed
    assert sentence in judged.reasons


def test_a_label_that_statistics_predict_better_is_said_and_decides_nothing():
    said = (
        "label is predicted from the embedding with a balanced accuracy of 0.5, from statistics of "
        "as many numbers with 0.75"
    )
    judged = judge(_table(), FIRST, Rules(), new_signature="changed", embedding={"probes": PROBES})
    assert judged.blessed
    assert judged.reasons[-2:] == (said, "changed")


def test_an_embedding_that_was_not_looked_at_cannot_keep_a_rule():
    beside = BESIDE | {"embedding": {"sequences": 90, "finite": False}}
    rule = Rule(metric="embedding/effective_rank", at_least=1.0)
    judged = judge(join_scores(_table(), beside), FIRST, Rules(rules=(rule,)))
    assert judged.reasons[0] == "embedding/effective_rank is not there to be judged"


def test_the_artifact_holds_all_that_was_said():
    table = _table()
    table["model"]["overall"]["variance/b"] = _numbers(0.0)
    judged = judge(table, FIRST, Rules())
    actual = to_dict(judged, ["c has 25 values: ..."], table, BESIDE)
    assert actual["reasons"] == [*judged.reasons, "c has 25 values: ..."]
    assert actual["constant_features"] == ["b"]
    assert actual["metrics"] == table["model"]
    assert "model" not in actual["baselines"]


def test_a_feature_of_which_nothing_counts_is_said_and_is_not_called_constant():
    table = _table()
    table["model"]["overall"]["variance/b"] = _numbers(0.0) | {"count": 0.0}
    judged = judge(table, FIRST, Rules())
    actual = to_dict(judged, [], table, BESIDE)
    assert actual["constant_features"] == []
    [*reasons, sentence] = actual["reasons"]
    assert reasons == [*judged.reasons]
    assert sentence.startswith("'b' has no part in the metrics: train or eval has no value of it")
