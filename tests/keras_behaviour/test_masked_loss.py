"""What the pinned Keras (3.15.1 on TensorFlow 2.21) reports for masked and weighted losses.

Not what it should report: an upgrade that changes any of it fails here, loudly, and docs/keras.md,
which names these tests, is then to be rewritten; `make test` has the first cases of each, since
another Keras fails the test of its version. Every expected value is computed from the arrays
of `example` in NumPy float64, with the padding deleted: read its table first. The masked mean of
its first 2 sequences, 6 valid steps of 10, is 18 / 6.
"""

import itertools

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from keras_behaviour.example import (
    REPORTS,
    OwnLengths,
    autoencoder,
    batch,
    called_directly,
    dense_model,
    gradient,
    masked_lstm,
    reports,
    tracked,
    two_tasks,
    update,
)

MEANS = ("sum_over_batch_size", "mean")
BY_WEIGHTS = ("mean_with_sample_weight",)
SUM, NONE = ("sum",), (None, "none")
CLOSE = {"rel": 1e-6, "abs": 1e-6}

DATA = batch(0, 1)
WEIGHT, MASK = DATA.weight, DATA.valid.astype(np.float64)
VALID_SQUARES, VALID_WEIGHTS = DATA.squares[DATA.valid], DATA.weight[DATA.valid]
VALID = VALID_SQUARES.sum()  # 18
WEIGHTED_VALID = (VALID_SQUARES * VALID_WEIGHTS).sum()  # 36
WEIGHTED_ALL = (DATA.squares * DATA.weight).sum()  # 52
PER_SEQUENCE = np.array([[1.0], [3.0]])
WEIGHTED_ROWS = (DATA.squares * PER_SEQUENCE).sum()  # 84


def test_versions_are_those_that_these_tests_describe() -> None:
    assert keras.backend.backend() == "tensorflow"
    assert keras.__version__.startswith("3.15.")
    assert tf.__version__.startswith("2.21.")


def test_example_is_that_of_the_table() -> None:
    np.testing.assert_array_equal(VALID_SQUARES, [1, 0, 4, 0, 9, 4])
    np.testing.assert_array_equal(VALID_WEIGHTS, [1, 2, 1, 0, 3, 1])
    np.testing.assert_array_equal(DATA.squares[~DATA.valid], [4, 4, 4, 4])
    assert (DATA.valid.shape, DATA.valid.sum()) == ((2, 5), 6)
    assert (WEIGHT.sum(), VALID_WEIGHTS.sum()) == (12, 8)


# (what is divided by what, reductions, whether behind a Masking, sample_weight, expected)
DIVISIONS = [
    ("mask: 18 by 6 valid steps", MEANS + BY_WEIGHTS, True, None, VALID / 6),
    ("weight: 52 by 10 steps", MEANS, False, WEIGHT, WEIGHTED_ALL / 10),
    ("weight: 52 by weights of 12", BY_WEIGHTS, False, WEIGHT, WEIGHTED_ALL / 12),
    # A mask that is given as a weight still has the figure of TF 2.7.
    ("mask as weight: 18 by 10 steps", MEANS, False, MASK, VALID / 10),
    ("mask as weight: 18 by 6 valid steps", BY_WEIGHTS, False, MASK, VALID / 6),
    # Not by the weights of the valid steps. TF 2.7: 36 / 10.
    ("both: 36 by 6 valid steps", MEANS, True, WEIGHT, WEIGHTED_VALID / 6),
    ("both: 36 by valid weights of 8", BY_WEIGHTS, True, WEIGHT, WEIGHTED_VALID / 8),
    ("mask: 18 by nothing", SUM, True, None, VALID),
    ("weight: 52 by nothing", SUM, False, WEIGHT, WEIGHTED_ALL),
    ("both: 36 by nothing", SUM, True, WEIGHT, WEIGHTED_VALID),
    # Without a reduction the trainer takes the mean itself. Here alone a Masking still gives the
    # figure of TF 2.7.
    ("mask: 18 by 10 steps", NONE, True, None, VALID / 10),
    ("weight: 52 by 10 steps", NONE, False, WEIGHT, WEIGHTED_ALL / 10),
    ("both: 36 by 10 steps", NONE, True, WEIGHT, WEIGHTED_VALID / 10),
    # A weight a sequence. By the sum of the weights is not by the weights of 5 steps of each, 20:
    # a "mean" of 21 of squared errors of 9 at most.
    ("weight [B, 1]: 84 by 10 steps", MEANS, False, PER_SEQUENCE, WEIGHTED_ROWS / 10),
    ("weight [B, 1]: 84 by weights of 4", BY_WEIGHTS, False, PER_SEQUENCE, WEIGHTED_ROWS / 4),
]


@pytest.mark.parametrize(
    ("reduction", "masking", "weight", "expected"),
    [
        pytest.param(
            *(reduction, *case),
            marks=[] if number < 3 and reduction == reductions[0] else pytest.mark.full,
            id=f"{reduction}, {name}",
        )
        for number, (name, reductions, *case) in enumerate(DIVISIONS)
        for reduction in reductions
    ],
)
def test_loss_is_a_sum_divided(
    reduction: str, masking: bool, weight: np.ndarray | None, expected: float
) -> None:
    """By what the id says, alike by the loss object and in every report of the trainer.

    Behind a Masking TF 2.7 gave 18 / 10: each loss by the mask, then the mean over all steps
    (tensorflow#34158, keras#15323). The pinned release first weights each valid step by 10 / 6, so
    that the mean over 10 is that over 6: 18 / 6.
    """
    case = {"reduction": reduction, "masking": masking, "data": DATA, "weight": weight}
    called = called_directly(**case)
    assert called.mean() == pytest.approx(expected, **CLOSE)
    assert called.shape == (DATA.valid.shape if reduction in NONE else ())
    assert reports(**case) == pytest.approx(dict.fromkeys(REPORTS, expected), **CLOSE)


def test_sum_in_batches_of_one_is_reported_divided_by_the_2_sequences() -> None:
    """18 / 2: the loss tracker is a mean over rows, whatever the reduction says."""
    model = dense_model(reduction="sum")
    one_batch, two_batches = (
        model.evaluate(DATA.x, DATA.y, batch_size=size, verbose=0) for size in (2, 1)
    )
    assert one_batch == pytest.approx(VALID, **CLOSE)
    assert two_batches == pytest.approx(VALID / 2, **CLOSE)


@pytest.mark.parametrize("reduction", NONE)
def test_without_reduction_the_loss_object_divides_by_nothing(reduction: str | None) -> None:
    """It returns [B, T], and 0 where masked."""
    losses = called_directly(reduction=reduction, masking=True, data=DATA, weight=WEIGHT)
    np.testing.assert_allclose(losses, DATA.squares * WEIGHT * MASK, rtol=1e-6)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1), ("sum", 6), (None, 6)])
def test_without_reduction_the_update_is_that_of_the_sum(reduction: str, factor: float) -> None:
    """It is reported as a mean over 10 steps and trained on as a sum over the 6 valid ones."""
    moved = update(dense_model(reduction=reduction), x=DATA.x, y=DATA.y)
    np.testing.assert_allclose(moved, -factor * gradient(DATA), rtol=1e-5)


@pytest.mark.parametrize(
    ("reduction", "weight"),
    [
        pytest.param("mean", None, id="mask"),
        pytest.param("mean", MASK, id="weight-0", marks=pytest.mark.full),
        pytest.param("mean_with_sample_weight", MASK, id="by-weights", marks=pytest.mark.full),
    ],
)
def test_targets_of_1e6_where_masked_change_nothing_and_nan_makes_all_nan(
    reduction: str, weight: np.ndarray | None
) -> None:
    """The loss of a masked step is multiplied by 0. That removes 1e6; NaN * 0 is NaN."""

    def outcome(label: float) -> tuple[float, np.ndarray]:
        data = batch(0, 1, label=label)
        arguments = {"x": data.x, "y": data.y, "sample_weight": weight}
        model = dense_model(reduction=reduction, masking=weight is None)
        return model.evaluate(**arguments, verbose=0), update(model, **arguments)

    loss, moved = outcome(0.0)
    huge_loss, huge_moved = outcome(1e6)
    divisor = 10 if reduction == "mean" and weight is not None else 6
    assert loss == huge_loss == pytest.approx(VALID / divisor, **CLOSE)
    np.testing.assert_array_equal(huge_moved, moved)
    np.testing.assert_allclose(moved, -gradient(DATA) * 6 / divisor, rtol=1e-5)
    nan_loss, nan_moved = outcome(np.nan)
    assert np.isnan(nan_loss)
    assert np.isnan(nan_moved).all()


def test_mask_value_itself_changes_nothing() -> None:
    outcomes = []
    for value in (0.0, -1.0):
        data = batch(0, 1, fill=value)
        model = dense_model(mask_value=value)
        loss = model.evaluate(data.x, data.y, verbose=0)
        assert loss == pytest.approx(VALID / 6, **CLOSE)
        outcomes.append([loss, *update(model, x=data.x, y=data.y)])
    assert outcomes[0] == outcomes[1]


def test_masking_of_0_takes_padding_of_minus_1_for_steps() -> None:
    """Divides by all 10, and counts 4 outputs of -1 - 1 + 1."""
    data = batch(0, 1, fill=-1.0)
    loss = dense_model(mask_value=0.0).evaluate(data.x, data.y, verbose=0)
    assert loss == pytest.approx(data.squares.mean(), **CLOSE)
    assert loss > 2 * VALID / 6


def test_masking_of_0_eats_a_true_step_of_zeros() -> None:
    """Divides by 5: a valid step whose features are all 0 is not counted."""

    by_zero, by_minus_one = batch(0, 1), batch(0, 1, fill=-1.0)
    by_zero.x[0, 1] = by_minus_one.x[0, 1] = 0.0
    eaten = by_zero.valid.copy()
    eaten[0, 1] = False
    loss = dense_model(mask_value=0.0).evaluate(by_zero.x, by_zero.y, verbose=0)
    true_loss = dense_model(mask_value=-1.0).evaluate(by_minus_one.x, by_minus_one.y, verbose=0)
    assert loss == pytest.approx(by_zero.squares[eaten].sum() / 5, **CLOSE)
    assert true_loss == pytest.approx(by_minus_one.squares[DATA.valid].sum() / 6, **CLOSE)
    assert loss != pytest.approx(true_loss, rel=0.01)


@pytest.mark.parametrize("mask_value", [0.0, np.nan])
def test_nan_in_the_padding_is_no_mask_value(mask_value: float) -> None:
    """NaN is equal to nothing, so a step of NaN counts as valid, for `Masking(NaN)` as well."""
    data = batch(0, 1, fill=np.nan)
    assert np.isnan(dense_model(mask_value=mask_value).evaluate(data.x, data.y, verbose=0))


@pytest.mark.parametrize("masking", [True, False], ids=["mask-and-weight", "mask-as-weight"])
def test_loss_metric_and_weighted_metric_divide_by_different_things(masking: bool) -> None:
    """With mask and weight: loss 36 / 6 valid steps, metric 18 / 6 (it never sees the weights),
    weighted metric 36 / 8 (the weights). With the mask as the weight: 18 / 10, 34 / 10, 18 / 6.
    """
    weight = WEIGHT if masking else MASK
    seen = DATA.valid if masking else np.ones_like(DATA.valid)
    squares, weights = DATA.squares[seen], weight[seen]
    model = dense_model(masking=masking, metrics=["mse"], weighted_metrics=["mse"])
    reported = model.evaluate(DATA.x, DATA.y, sample_weight=weight, verbose=0, return_dict=True)
    expected = {
        "loss": (squares * weights).sum() / len(squares),
        "mse": squares.mean(),
        "weighted_mse": np.average(squares, weights=weights),
    }
    assert reported == pytest.approx(expected, **CLOSE)
    assert len({round(value, 3) for value in expected.values()}) == 3


def test_task_loss_divides_by_the_batch_and_task_metric_by_the_weights() -> None:
    """b_loss 18 / 10 against b_mse 18 / 6, from the same outputs, labels and weights. With no label
    missing the two are the same, 34 / 10.
    """
    reported = two_tasks(DATA, batch_size=2)
    expected = {
        "a_loss": DATA.squares.mean(),
        "a_mse": DATA.squares.mean(),
        "b_loss": VALID / 10,
        "b_mse": VALID / 6,
        "loss": DATA.squares.mean() + VALID / 10,
    }
    assert reported == pytest.approx(expected, **CLOSE)


def test_task_losses_do_not_add_up_to_the_loss_when_the_last_batch_is_short() -> None:
    """The loss weighs batches by rows, 2 to 1; a task's loss weighs them 1 to 1."""
    data = batch(0, 1, 2)
    reported = two_tasks(data, batch_size=2)
    of_b = np.where(data.valid, data.squares, 0)
    by_task = [(losses[:2].mean() + losses[2:].mean()) / 2 for losses in (data.squares, of_b)]
    assert [reported["a_loss"], reported["b_loss"]] == pytest.approx(by_task, **CLOSE)
    assert reported["loss"] == pytest.approx(data.squares.mean() + of_b.mean(), **CLOSE)
    assert sum(by_task) != pytest.approx(reported["loss"], rel=0.1)


GROUPINGS = ([[0, 1, 2]], [[0, 1], [2]], [[0, 2], [1]], [[0], [1], [2]])
FIRST_GROUPINGS = [
    *GROUPINGS[:2], *(pytest.param(groups, marks=pytest.mark.full) for groups in GROUPINGS[2:])
]  # fmt: skip


@pytest.mark.parametrize("groups", FIRST_GROUPINGS, ids=str)
@pytest.mark.parametrize(
    ("reduction", "masking"),
    [("mean", True), ("mean_with_sample_weight", False), ("mean", False)],
    ids=["mask", "mask-as-weight-by-weights", "mask-as-weight"],
)
def test_loss_depends_on_batch_size_and_order_and_weighted_metrics_do_not(
    groups: list[list[int]], reduction: str, masking: bool
) -> None:
    """What divides by valid steps a batch is 1.82, 2.13, 2.69, 2.72 on the same data. What divides
    by all steps is the same for all, 20 / 15, and is diluted by the padding. Only the weighted
    metric is 20 / 11: the masked mean, whatever the batches.
    """
    data = batch(*itertools.chain(*groups))
    model = dense_model(reduction=reduction, masking=masking, weighted_metrics=["mse"])
    weight = None if masking else data.valid.astype(np.float64)
    loss, metric = model.evaluate(
        data.x, data.y, sample_weight=weight, batch_size=len(groups[0]), verbose=0
    )
    valid = data.squares[data.valid]
    by_all_steps = reduction == "mean" and not masking
    expected = valid.sum() / data.valid.size if by_all_steps else tracked(groups)
    assert loss == pytest.approx(expected, **CLOSE)
    assert metric == pytest.approx(valid.mean(), **CLOSE)


def test_groupings_differ_by_more_than_any_rounding() -> None:
    losses = [tracked(groups) for groups in GROUPINGS]
    assert min(np.diff(sorted(losses))) > 0.01
    assert max(losses) / min(losses) > 1.4


@pytest.mark.parametrize("groups", FIRST_GROUPINGS, ids=str)
def test_weighted_metrics_depend_on_the_batches_too_once_these_differ_in_length(
    groups: list[list[int]],
) -> None:
    """A weighted metric sums errors and weights after dividing both by T. For one T that cancels;
    for batches of several T each batch is weighted by 1 / T.
    """
    batches = OwnLengths(groups)
    _, metric = dense_model(masking=False, weighted_metrics=["mse"]).evaluate(batches, verbose=0)
    kept = [(data.squares[data.valid], data.valid.shape[1]) for data in batches.batches]
    total = sum(squares.sum() / steps for squares, steps in kept)
    count = sum(squares.size / steps for squares, steps in kept)
    assert metric == pytest.approx(total / count, **CLOSE)
    masked_mean = np.concatenate([squares for squares, _ in kept]).mean()
    assert (metric == pytest.approx(masked_mean, rel=1e-3)) == (len(groups) == 1)


def test_batch_with_nothing_valid_has_loss_0_and_still_counts_its_rows() -> None:
    """A loss of 0 for its 2 rows halves the report; the weighted metric leaves it out."""
    x, y = np.concatenate([DATA.x, np.zeros_like(DATA.x)]), np.concatenate([DATA.y, DATA.y])
    model = dense_model(weighted_metrics=["mse"])
    loss, metric = model.evaluate(x, y, batch_size=2, verbose=0)
    assert loss == pytest.approx((VALID / 6 + 0) / 2, **CLOSE)
    assert metric == pytest.approx(VALID / 6, **CLOSE)


def test_repeat_vector_loses_the_mask_so_the_loss_is_over_all_10_steps() -> None:
    """The usual LSTM autoencoder, on its own outputs: not the masked mean, and no warning. The mask
    as sample_weight, divided by the weights, gives it back (for one batch).
    """
    model = autoencoder()
    squares = np.square(np.float64(model.predict(DATA.x, verbose=0)) - DATA.x).mean(axis=-1)
    reported = model.evaluate(DATA.x, DATA.x, verbose=0)
    assert reported == pytest.approx(squares.mean(), **CLOSE)
    assert reported != pytest.approx(squares[DATA.valid].mean(), rel=0.2)
    weighted = model.evaluate(DATA.x, DATA.x, sample_weight=MASK, verbose=0)
    assert weighted == pytest.approx(squares[DATA.valid].sum() / 10, **CLOSE)
    model.compile(loss=keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    weighted = model.evaluate(DATA.x, DATA.x, sample_weight=MASK, verbose=0)
    assert weighted == pytest.approx(squares[DATA.valid].mean(), **CLOSE)


SQUARE = batch(0, 1, steps=2)  # all steps valid, and B == T
FIRST_ONLY = np.array([1.0, 0.0])


@pytest.mark.parametrize("masking", [True, False], ids=["masking", "no-mask"])
def test_weight_of_b_weights_time_when_b_equals_t(masking: bool) -> None:
    """[1, 0], meant to leave out sequence 1, leaves out step 1 of both. Without a mask the weighted
    metric does leave out the sequence; behind a mask it weights time as the loss does.
    """
    model = dense_model(masking=masking, weighted_metrics=["mse"])
    loss, metric = model.evaluate(SQUARE.x, SQUARE.y, sample_weight=FIRST_ONLY, verbose=0)
    by_step, by_sequence = SQUARE.squares[:, 0], SQUARE.squares[0]
    assert loss == pytest.approx(by_step.sum() / 4, **CLOSE)
    assert loss != pytest.approx(by_sequence.sum() / 4, rel=0.5)
    assert metric == pytest.approx((by_step if masking else by_sequence).mean(), **CLOSE)


def test_weight_of_b_is_refused_when_b_differs_from_t() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"[Ii]ncompatible shapes"):
        dense_model().evaluate(DATA.x, DATA.y, sample_weight=FIRST_ONLY, verbose=0)


def test_two_accumulated_batches_update_otherwise_than_the_batch_of_both() -> None:
    """A mean of two masked means (4 and 2 valid steps), not the mean over 6: 74% off here."""
    whole = update(dense_model(), x=DATA.x, y=DATA.y, batch_size=2)
    accumulating = dense_model(gradient_accumulation_steps=2)
    accumulated = update(accumulating, x=DATA.x, y=DATA.y, batch_size=1)
    np.testing.assert_allclose(whole, -gradient(DATA), rtol=1e-5)
    means = [gradient(batch(0)), gradient(batch(1))]
    np.testing.assert_allclose(accumulated, -np.mean(means, axis=0), rtol=1e-5)
    assert 0.7 < np.linalg.norm(accumulated - whole) / np.linalg.norm(whole) < 0.78


@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_loss_behind_an_lstm_mask_is_right_and_every_gradient_of_the_lstm_is_nan(
    fill: float,
) -> None:
    """Where masked the LSTM holds its state: outputs, loss and the gradient of the head are those
    without padding. Backwards, 0 * NaN is NaN: one update, correctly reported, and it is all NaN.
    """
    model = masked_lstm()
    weights = [np.float64(weight) for weight in model.get_weights()]
    outputs = [
        oracle.lstm(sequence.x[0], *weights[:3]) @ weights[3] + weights[4]
        for sequence in (batch(0, steps=4), batch(1, steps=2))
    ]
    expected = oracle.mean_squared_error([DATA.y[0, :4], DATA.y[1, :2]], outputs)
    data = batch(0, 1, fill=fill)
    assert model.train_on_batch([data.x, data.valid], data.y) == pytest.approx(expected, rel=1e-5)
    *lstm, kernel, bias = model.get_weights()
    assert all(np.isnan(weight).all() for weight in lstm)
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()


@pytest.mark.parametrize("fill", [0.0, 1e30, np.nan, np.inf])
@pytest.mark.parametrize("select", [True, False], ids=["selected", "as-it-is"])
def test_gradients_are_nan_unless_the_input_is_selected_first(fill: float, select: bool) -> None:
    """The loss is 18 / 6 either way, as its terms are selected. `tf.where(mask, x, 0)` on the input
    as well makes every gradient right, and that of the padding exactly 0.
    """
    data = batch(0, 1, fill=fill)
    model = dense_model(masking=False)
    x = tf.Variable(data.x, dtype=tf.float32)
    with tf.GradientTape() as tape:
        inputs = tf.where(data.valid[..., np.newaxis], x, 0.0) if select else x
        squares = tf.square(model(inputs) - tf.constant(data.y, tf.float32))[..., 0]
        loss = tf.reduce_sum(tf.where(data.valid, squares, 0.0)) / 6
    kernel, bias, of_x = (g.numpy() for g in tape.gradient(loss, [*model.trainable_weights, x]))
    assert float(loss) == pytest.approx(VALID / 6, **CLOSE)
    np.testing.assert_allclose(of_x[data.valid][:, 0], 2 * DATA.errors[DATA.valid] / 6, rtol=1e-5)
    if select or np.isfinite(fill):
        np.testing.assert_allclose([*kernel[:, 0], *bias], gradient(DATA), rtol=1e-5)
        assert (of_x[~data.valid] == 0.0).all()
    else:
        assert np.isnan([*kernel[:, 0], *bias]).all()
        assert np.isnan(of_x[~data.valid]).all()
