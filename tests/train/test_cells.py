"""Every cell, shape and strategy beside the oracle, with padding of every content."""

import functools
import itertools

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled
from train import samples
from train.samples import FILLS, F

from ragline.components.contract.masking import mask_of, select
from ragline.components.train import padding
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model import architecture
from ragline.components.train.options import TrainOptions
from ragline.components.train.padding import padding_diagnostics

LENGTHS = (3, 1, 5, 4, 2)  # As many as there are fills.
STRATEGIES = ("crop", "equal_length", "remask")
SHAPES = tuple(
    {"encoder": cell, "layers": layers, "bidirectional": both, "decoder": decoder}
    for cell, layers, both, decoder in itertools.product(
        ("lstm", "gru"), (1, 2), (False, True), ("repeat", "teacher")
    )
)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "-".join(map(str, s.values())))


def _in_turn(names: str, *cases: tuple[object, ...]) -> pytest.MarkDecorator:
    """Every shape with one case, and each value of a shape with all; the full profile has all."""
    pairs = itertools.product(enumerate(SHAPES), enumerate(cases))
    return pytest.mark.parametrize(
        ("shape", *names.split()),
        [
            pytest.param(
                shape,
                *case,
                marks=[] if (turn + turn // 4) % len(cases) == place else pytest.mark.full,
                id="-".join(map(str, (*shape.values(), *case))),
            )
            for (turn, shape), (place, case) in pairs
        ],
    )


@functools.cache
def _built(options: TrainOptions, steps: int = 12) -> architecture.MaskedAutoencoder:
    keras.utils.set_random_seed(0)
    built = architecture.build(features=F, options=options, steps=steps)
    built.set_weights(samples.draw(built))  # No bias of 0, which a wrong oracle never notices.
    return built


def _options(**shape) -> TrainOptions:
    return TrainOptions(**{"units": 4, "embedding_size": 3, "linear_steps": 3} | shape)


def _sequences(seed: int, lengths) -> list[np.ndarray]:
    return [sample.values for sample in samples.make(seed, lengths)]


def _every_fill(sequences: list[np.ndarray], extra: int = 1) -> SequenceBatch:
    """Each row with padding of another content: no row is read into another."""
    plain = samples.batch(sequences, extra=extra)
    fills = np.resize(np.array(FILLS, np.float32), len(sequences))
    filled = tf.where(plain.valid[..., tf.newaxis], plain.values, fills[:, np.newaxis, np.newaxis])
    return plain._replace(values=filled)


def _assert_equals_the_oracle(options: TrainOptions, sequences: list[np.ndarray], extra: int):
    built = _built(options)
    plain, filled = samples.batch(sequences, extra=extra), _every_fill(sequences, extra)
    embedding = built.encode(filled).numpy()
    assert (embedding == built.encode(plain).numpy()).all()
    outputs = built(filled).numpy()
    assert (outputs == built(plain).numpy()).all()
    alone = built.encode(samples.batch(sequences[:1])).numpy()[0]
    np.testing.assert_allclose(alone, embedding[0], rtol=0, atol=1e-6)
    for row, values in enumerate(sequences):
        own = oracle.encode(values, built.get_weights(), options)
        np.testing.assert_allclose(embedding[row], own, rtol=0, atol=1e-6)
        expected = oracle.reconstruct(values, built.get_weights(), options)
        np.testing.assert_allclose(outputs[row, : len(values)], expected, rtol=0, atol=1e-6)
        after = outputs[row, len(values) :]
        if options.padding == "remask":
            assert (after == outputs[row, len(values) - 1]).all()
        else:
            assert (after == 0.0).all()


@_in_turn("strategy", ("remask",), ("crop",))
def test_code_and_outputs_equal_the_oracle_whatever_the_padding(shape, strategy):
    """What follows the last valid step is 0, or, under `remask`, its output repeated."""
    options = _options(padding=strategy, **shape)
    _assert_equals_the_oracle(options, _sequences(1, LENGTHS), extra=2)


@settings(deadline=None, max_examples=sampled(15))
@given(
    seed=st.integers(0, 2**16),
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    extra=st.integers(0, 9),
    shape=st.sampled_from(SHAPES),
    strategy=st.sampled_from(STRATEGIES),
)
def test_any_sequences_equal_the_oracle(seed, lengths, extra, shape, strategy):
    options = _options(padding=strategy, **shape)
    _assert_equals_the_oracle(options, _sequences(seed, lengths), extra)


@_in_turn(
    "strategy precision",
    ("crop", "float32"),
    ("remask", "bfloat16"),
    ("remask", "float32"),
    ("crop", "bfloat16"),
)
def test_gradient_of_the_padding_is_exactly_zero_and_all_are_finite(shape, strategy, precision):
    built = _built(_options(padding=strategy, precision=precision, **shape))
    batch = _every_fill(_sequences(2, LENGTHS))
    values, valid = batch.values, batch.valid
    variables = [variable.value for variable in built.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = tf.reduce_sum(tf.square(select(valid, built(batch))))
    gradient, *of_weights = (g.numpy() for g in tape.gradient(result, [values, *variables]))
    assert (gradient[~valid.numpy()] == 0.0).all()
    assert (gradient[valid.numpy()] != 0.0).any(axis=-1).all()
    assert np.isfinite(gradient).all()
    for of_weight in of_weights:
        assert np.isfinite(of_weight).all()
        assert (of_weight != 0.0).any()


@every_shape
def test_a_step_of_zeros_counts_like_any_other(shape):
    """At either end and inside: without it the code is another, and so is the loss."""
    built = _built(_options(**shape))
    [sequence] = _sequences(3, [6])
    longer = [np.insert(sequence, place, 0.0, axis=0) for place in (0, 3, 6)]
    batch = samples.batch([sequence, *longer])
    embedding, outputs = built.encode(batch).numpy(), built(batch).numpy()
    assert (np.abs(embedding[1:] - embedding[0]).max(axis=1) > 1e-4).all()
    errors = np.square(outputs - batch.values.numpy())
    assert (np.abs(errors[1:].mean(axis=(1, 2)) - errors[0, :6].mean()) > 1e-4).all()


def _update(options: TrainOptions, path: str) -> tuple[list[np.ndarray], dict[str, float]]:
    """The change of each weight by one plain gradient step, and what was reported."""
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    trainer.optimizer = keras.optimizers.SGD(2.0**10)
    before = trainer.model.get_weights()
    sums = trainer.update(samples.read(path, missing=True, average=options.average))
    pairs = zip(trainer.model.get_weights(), before, strict=True)
    return [after - start for after, start in pairs], sums


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    """With missing values, and a valid step that is 0 throughout."""
    made = samples.make(4, LENGTHS, missing=True)
    return samples.write(tmp_path_factory.mktemp("r") / "shard", map(samples.record, made))


def test_remask_makes_the_update_of_crop(path):
    """Its targets and outputs in the padding do not count."""
    options = {"clip_norm": 1e9, "average": "sequence", "decoder": "teacher"}
    expected, crop = _update(_options(padding="crop", **options), path)
    actual, remask = _update(_options(padding="remask", **options), path)
    assert remask == pytest.approx(crop, rel=1e-6)
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())


def test_the_targets_of_remask_repeat_the_last_valid_step(path):
    [batch] = samples.read(path, missing=True)
    targets = padding.of("remask").for_loss(batch).values.numpy()
    for row, length in enumerate(LENGTHS):
        values = batch.values.numpy()[row]
        np.testing.assert_array_equal(targets[row, :length], values[:length])
        assert (targets[row, length:] == values[length - 1]).all()


def _dropped(built, batch: SequenceBatch, draw: int) -> np.ndarray:
    """The states behind the decoder's dropout, in the first so many steps."""
    embedding = built.encode(batch)
    built.dropout.seed_generator.state.assign([7, draw])
    return built.decode(embedding, batch, training=True).values.numpy()


def test_dropout_takes_the_same_units_at_every_step_and_others_of_every_sequence():
    """The dense layer is made the identity: the outputs are the decoder's states, as dropped."""
    built = architecture.build(features=16, options=_options(units=16, dropout=0.5, linear_steps=0))
    built.reconstruction.set_weights([np.eye(16), np.zeros(16)])
    sequence = np.random.default_rng(0).normal(size=(9, 16)).astype(np.float32)
    batch = samples.batch([sequence, sequence, sequence[:5]])
    kept, dropped = built(batch).numpy(), _dropped(built, batch, draw=0)
    gone = dropped == 0.0
    for row, steps in enumerate(batch.length.numpy()):
        assert (gone[row, :steps] == gone[row, 0]).all()
        assert 0 < gone[row, 0].sum() < 16
        through = ~gone[row, 0]
        np.testing.assert_allclose(
            dropped[row, :steps, through], 2 * kept[row, :steps, through], rtol=1e-5
        )
    assert (gone[0, 0] != gone[1, 0]).any()
    assert (gone[0, 0] != gone[2, 0]).any()
    assert (_dropped(built, batch, draw=1) != dropped).any()


@pytest.mark.parametrize(
    ("shape", "strategy"),
    [
        (SHAPES[0], "crop"),
        (SHAPES[7], "remask"),
        (SHAPES[15], "crop"),
        pytest.param(SHAPES[0], "remask", marks=pytest.mark.full),
        pytest.param(SHAPES[7], "crop", marks=pytest.mark.full),
        pytest.param(SHAPES[15], "remask", marks=pytest.mark.full),
    ],
    ids=str,
)
def test_dropout_is_the_same_draw_with_more_padding_and_none_when_not_training(shape, strategy):
    built = _built(_options(padding=strategy, dropout=0.5, **shape))
    sequences = _sequences(5, LENGTHS)

    def drawn(batch: SequenceBatch) -> tuple[np.ndarray, np.ndarray]:
        built.dropout.seed_generator.state.assign([3, 1])
        return built.encode(batch, training=True).numpy(), built(batch, training=True).numpy()

    embedding, outputs = drawn(samples.batch(sequences))
    padded_code, padded_outputs = drawn(_every_fill(sequences, extra=7))
    np.testing.assert_allclose(padded_code, embedding, rtol=0, atol=1e-6)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(
            padded_outputs[row, :length], outputs[row, :length], rtol=0, atol=1e-6
        )
    plain = samples.batch(sequences)
    assert (built.encode(plain).numpy() != embedding).any(axis=-1).all()
    without = _built(_options(padding=strategy, **shape))
    assert (built.encode(plain).numpy() == without.encode(plain).numpy()).all()
    assert (built(plain).numpy() == without(plain).numpy()).all()


def test_padding_has_a_share_in_the_textbook_model_alone(path):
    for strategy in (*STRATEGIES, "keras"):
        options = _options(padding=strategy, batch_size=8)
        lengths = np.array(LENGTHS)
        batches = samples.read(
            path,
            missing=True,
            plan=batching.plan_training(options, lengths, F),
            fixed_steps=batching.fixed_steps(options, lengths),
        )
        measured = padding_diagnostics.measure_padding(
            _built(options, steps=max(LENGTHS)), options, batches
        )
        if strategy == "keras":
            continue
        assert (measured["loss_share"], measured["gradient_share"]) == (0.0, 0.0)
        assert measured["loss"] == measured["masked_loss"] > 0
    built = _built(options, steps=max(LENGTHS))
    [batch] = batches
    assert batch.values.shape == (5, 5, F)
    errors = built(batch).numpy().astype(np.float64) - batch.values.numpy()
    there = mask_of(batch.length, 5).numpy()
    seen = batch.sample_weight.numpy() > 0
    squares, slopes = np.square(errors), np.abs(errors)
    assert measured == pytest.approx(
        {
            "loss": squares.mean(),
            "plain_loss": squares[seen | ~there[..., np.newaxis]].mean(),
            "masked_loss": squares[seen].mean(),
            "loss_share": squares[~there].sum() / squares.sum(),
            "gradient_share": slopes[~there].sum() / slopes.sum(),
        },
        rel=1e-6,
    )
    assert measured["loss_share"] > 0.01
    assert measured["gradient_share"] > 0.01


def test_the_textbook_model_takes_a_step_of_zeros_for_padding():
    """Its code is that of the sequence without the step; that of `crop` is not."""
    [sequence] = _sequences(3, [6])
    batch = samples.batch([sequence, np.insert(sequence, 3, 0.0, axis=0)])
    textbook = _built(_options(padding="keras")).encode(batch).numpy()
    np.testing.assert_allclose(textbook[1], textbook[0], rtol=0, atol=1e-6)
    cropped = _built(_options()).encode(batch).numpy()
    assert np.abs(cropped[1] - cropped[0]).max() > 1e-3


@settings(deadline=None, max_examples=sampled(15))
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=30), size=st.integers(1, 5))
def test_equal_length_batches_hold_one_length_and_no_padding(tmp_path_factory, lengths, size):
    """Small batches that are left over are kept: every sequence comes exactly once."""
    made = samples.make(0, lengths)
    for number, sample in enumerate(made):
        sample.values[0, 0] = number
    file = tmp_path_factory.mktemp("equal") / "shard"
    path = samples.write(file, [samples.record(sample) for sample in made])
    options = _options(padding="equal_length", batch_size=size)
    plan = batching.plan_training(options, input_pipeline.read_lengths([path]), F)
    seen = []
    for batch in samples.read(path, plan=plan, shuffle_seed=1):
        assert (batch.length.numpy() == batch.values.shape[1]).all()
        assert (batch.sample_weight.numpy() == 1.0).all()
        assert len(batch.values) <= size
        for values in batch.values.numpy():
            seen.append(int(values[0, 0]))
            np.testing.assert_array_equal(values, made[seen[-1]].values)
    assert sorted(seen) == list(range(len(lengths)))
