import numpy as np
import oracle
import pytest
from evaluate.samples import FEATURES, Made, make
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled
from scipy import stats

from ragline.components.contract.signatures import BASELINES, category_sum, head_sum
from ragline.components.evaluate.metrics import formulas, named, totals
from ragline.components.evaluate.metrics.interface import Parts


def _totals(made: Made) -> totals.Totals:
    return totals.sum_by_group(made.sums(), made.ids, range(len(made.ids)))


def _estimates(made: Made, heads=()):
    return formulas.model_estimates(_totals(made), FEATURES, heads, ())


@settings(deadline=None, max_examples=sampled(50))
@given(
    seed=st.integers(0, 2**16),
    number=st.integers(1, 60),
    missing=st.sampled_from([0.0, 0.3]),
    constant=st.booleans(),
)
def test_every_metric_equals_the_oracle(seed, number, missing, constant):
    made = make(seed, number, missing=missing, constant=constant)
    if not all(np.concatenate(made.observed).sum(axis=0) > 1):
        return  # Of a feature with one value there is no variance; see below.
    group_totals = _totals(made)
    for predictor, outputs in made.predictions().items():
        expected = oracle.reconstruction_metrics(made.values, outputs, made.observed)
        estimates = (
            formulas.baseline_estimates(group_totals, predictor)
            if predictor in BASELINES
            else formulas.model_estimates(group_totals, FEATURES, (), ())
        )
        for metric, value in expected.items():
            assert estimates[metric].value == pytest.approx(value, rel=1e-9, abs=1e-9)
    model = formulas.model_estimates(group_totals, FEATURES, (), ())
    assert model["sequences"].value == number
    assert model["steps"].value == sum(len(values) for values in made.values)
    assert model["values"].value == model["masked_mse"].count
    values, outputs, seen = (
        np.concatenate(rows) for rows in (made.values, made.outputs, made.observed)
    )
    for index, name in enumerate(FEATURES):
        there = seen[:, index]
        mse = np.square(outputs - values)[there, index].mean()
        variance = values[there, index].var()
        assert model[f"masked_mse/{name}"].value == pytest.approx(mse, rel=1e-9)
        assert model[f"variance/{name}"].value == pytest.approx(variance, rel=1e-9, abs=1e-12)
        assert model[f"masked_mse/{name}"].count == there.sum()


def test_a_constant_feature_has_a_variance_of_exactly_0_and_no_part_in_the_normalised_mse():
    estimates = _estimates(make(1, 40, constant=True))
    assert estimates["variance/c"].value == 0.0
    assert estimates["variance/a"].value > 0.5
    assert estimates["normalised_mse"].count == 2
    values = {name: estimate.value for name, estimate in estimates.items()}
    shares = formulas.normalised_by_feature(values)
    assert set(shares) == {"a", "b"}
    assert values["normalised_mse"] == pytest.approx(np.mean(list(shares.values())), rel=1e-12)


def test_the_normalised_mse_does_not_depend_on_the_units():
    made = make(2, 50, missing=0.2)
    scale, shift = np.array([1e-3, 1.0, 250.0]), np.array([3.0, -1.0, 0.25])
    other = Made(
        values=[values * scale + shift for values in made.values],
        outputs=[output * scale + shift for output in made.outputs],
        observed=made.observed,
        ids=made.ids,
    )
    one, two = (_estimates(each) for each in (made, other))
    assert one["normalised_mse"].value == pytest.approx(two["normalised_mse"].value, rel=1e-9)
    assert one["normalised_mse"].lower == pytest.approx(two["normalised_mse"].lower, rel=1e-6)
    assert one["masked_mse"].value != pytest.approx(two["masked_mse"].value, rel=0.1)


def test_an_interval_is_the_jackknife_of_its_definition():
    made = make(3, 300, missing=0.1)
    groups = np.array([totals.group_of(name) for name in made.ids])
    assert set(groups) == set(range(totals.GROUPS))
    parts = [made, *(made.take(np.flatnonzero(groups != g)) for g in range(totals.GROUPS))]
    values = [oracle.reconstruction_metrics(p.values, p.outputs, p.observed) for p in parts]
    for metric in ("masked_mse", "normalised_mse", "explained_variance"):
        whole, *without = [value[metric] for value in values]
        pseudo = totals.GROUPS * whole - (totals.GROUPS - 1) * np.array(without)
        error = np.std(pseudo, ddof=1) / np.sqrt(totals.GROUPS)
        half = stats.t.ppf(0.975, totals.GROUPS - 1) * error
        estimates = _estimates(made)[metric]
        assert estimates.lower == pytest.approx(whole - half, rel=1e-6)
        assert estimates.upper == pytest.approx(whole + half, rel=1e-6)


def test_an_interval_is_the_same_in_any_order_of_the_sequences():
    made = make(4, 100)
    order = np.random.default_rng(0).permutation(100)
    one, other = (_estimates(each)["masked_mse"] for each in (made, made.take(order)))
    assert one.lower == pytest.approx(other.lower, rel=1e-12)
    assert one.upper == pytest.approx(other.upper, rel=1e-12)


@pytest.mark.parametrize(("number", "has"), [(29, False), (30, True)])
def test_fewer_than_30_sequences_have_no_interval(number, has):
    estimates = _estimates(make(5, number))["masked_mse"]
    assert (estimates.lower is not None, estimates.upper is not None) == (has, has)


def test_an_interval_stays_within_what_a_metric_can_be():
    made = make(6, 40)
    outputs = [np.array(values) for values in made.values]
    outputs[0] = outputs[0] + 100.0  # One sequence alone has errors.
    estimates = _estimates(Made(**{**vars(made), "outputs": outputs}))
    assert estimates["masked_mse"].lower == 0.0
    assert estimates["masked_mse"].upper > estimates["masked_mse"].value
    assert estimates["explained_variance"].upper == 1.0
    assert estimates["finite_share"].lower == estimates["finite_share"].upper == 1.0


def test_a_model_that_answers_nan_has_metrics_of_nan_and_no_interval():
    made = make(7, 40)
    outputs = [values.copy() for values in made.outputs]
    outputs[3][:] = np.nan
    estimates = _estimates(Made(**{**vars(made), "outputs": outputs}))
    assert estimates["finite_share"].value == 39 / 40
    for metric in ("masked_mse", "normalised_mse", "explained_variance"):
        assert np.isnan(estimates[metric].value)
        assert estimates[metric].lower is None


def test_no_sequence_at_all_is_0_of_everything():
    nothing = {name: np.zeros_like(total) for name, total in _totals(make(8, 1)).items()}
    estimates = formulas.model_estimates(nothing, FEATURES, (), ())
    assert estimates["masked_mse"].value == estimates["normalised_mse"].value == 0.0
    assert estimates["sequences"].value == 0.0


def test_heads_are_scored_over_their_labelled_sequences():
    made = make(9, 50)
    rng = np.random.default_rng(0)
    labelled = (rng.random(50) > 0.4).astype(float)
    right, loss = labelled * (rng.random(50) > 0.5), labelled * rng.random(50)
    sums = made.sums() | {
        head_sum("kind", "labelled"): labelled,
        head_sum("kind", "loss"): loss,
        head_sum("kind", "right"): right,
        head_sum("grade", "labelled"): np.zeros(50),
        head_sum("grade", "loss"): np.zeros(50),
    }
    heads = [
        ("kind", "classification"),
        ("grade", "regression"),
    ]
    estimates = formulas.model_estimates(
        totals.sum_by_group(sums, made.ids, range(50)), FEATURES, heads, ()
    )
    assert estimates["head/kind/accuracy"].value == pytest.approx(right.sum() / labelled.sum())
    assert estimates["head/kind/accuracy"].count == labelled.sum()
    assert estimates["head/kind/loss"].value == pytest.approx(loss.sum() / labelled.sum())
    assert estimates["head/grade/mse"].value == estimates["head/grade/mse"].count == 0.0
    assert set(estimates) == set(formulas.model_metrics(FEATURES, heads, ()))


def test_categories_are_scored_over_their_observed_words():
    made = make(9, 50)
    rng = np.random.default_rng(1)
    observed = rng.integers(0, 9, 50).astype(float)
    right, entropy = np.floor(observed * rng.random(50)), observed * rng.random(50)
    sums = made.sums() | {
        category_sum("activity", "observed"): observed,
        category_sum("activity", "cross_entropy"): entropy,
        category_sum("activity", "right"): right,
    }
    of = totals.sum_by_group(sums, made.ids, range(50))
    estimates = formulas.model_estimates(of, FEATURES, (), ("activity",))
    accuracy = estimates["category/activity/accuracy"]
    assert accuracy.value == pytest.approx(right.sum() / observed.sum(), rel=1e-12)
    assert accuracy.count == observed.sum()
    assert accuracy.lower < accuracy.value < accuracy.upper
    mean = estimates["category/activity/cross_entropy"].value
    assert mean == pytest.approx(entropy.sum() / observed.sum(), rel=1e-12)
    assert set(estimates) == set(formulas.model_metrics(FEATURES, (), ("activity",)))


@pytest.mark.parametrize(
    ("metric", "bounds"),
    [
        ("masked_mse", (0.0, np.inf)),
        ("explained_variance", (-np.inf, 1.0)),
        ("finite_share", (0.0, 1.0)),
        ("head/kind/accuracy", (0.0, 1.0)),
        ("category/activity/accuracy", (0.0, 1.0)),
        ("category/activity/cross_entropy", (0.0, np.inf)),
        ("masked_mse/accuracy", (0.0, np.inf)),  # A feature may be called so.
    ],
)
def test_between_what_a_metric_must_lie(metric, bounds):
    parts = Parts(
        features=("accuracy",), heads=[("kind", "classification")], categories=("activity",)
    )
    [measured] = [each for each in named.of_model(parts) if each.name == metric]
    assert measured.bounds == bounds
