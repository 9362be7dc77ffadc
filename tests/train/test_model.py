import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.options import TrainOptions

F = 3
OPTIONS = TrainOptions(units=8, embedding_size=5, linear_steps=4)
FILLS = (0.0, 1e9, 1e38, float("nan"), float("inf"))


@pytest.fixture(scope="module")
def model() -> MaskedAutoencoder:
    keras.utils.set_random_seed(0)
    return MaskedAutoencoder(features=F, options=OPTIONS)


def _sequences(seed: int, lengths: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, F)).astype(np.float32) for length in lengths]


def _pad(sequences: list[np.ndarray], fill: float = 0.0, extra: int = 0):
    length = np.array([len(values) for values in sequences], np.int64)
    padded = np.full((len(sequences), length.max() + extra, F), fill, np.float32)
    for row, values in enumerate(sequences):
        padded[row, : len(values)] = values
    return SequenceBatch.complete(tf.constant(padded), tf.constant(length))


lengths_of_batches = st.lists(st.integers(1, 12), min_size=1, max_size=6)


@settings(deadline=None, max_examples=sampled(30))
@given(seed=st.integers(0, 2**16), lengths=lengths_of_batches)
def test_embedding_and_reconstruction_equal_the_oracle_without_padding(model, seed, lengths):
    sequences = _sequences(seed, lengths)
    batch = _pad(sequences, fill=float("nan"), extra=2)
    embedding, outputs = model.encode(batch).numpy(), model(batch).numpy()
    weights = model.get_weights()
    for row, sequence in enumerate(sequences):
        expected = oracle.reconstruct(sequence, weights, OPTIONS)
        own = oracle.encode(sequence, weights, OPTIONS)
        np.testing.assert_allclose(embedding[row], own, atol=1e-6)
        np.testing.assert_allclose(outputs[row, : len(sequence)], expected, atol=1e-6)
        assert (outputs[row, len(sequence) :] == 0.0).all()


@settings(deadline=None, max_examples=sampled(30))
@given(
    seed=st.integers(0, 2**16),
    lengths=lengths_of_batches,
    fill=st.sampled_from(FILLS),
)
def test_embedding_is_bit_equal_whatever_stands_in_the_padding(model, seed, lengths, fill):
    sequences = _sequences(seed, lengths)
    plain = model.encode(_pad(sequences, extra=1)).numpy()
    assert (model.encode(_pad(sequences, fill, extra=1)).numpy() == plain).all()


@settings(deadline=None, max_examples=sampled(20))
@given(seed=st.integers(0, 2**16), lengths=lengths_of_batches, extra=st.integers(1, 40))
def test_embedding_is_the_same_alone_and_with_more_padding(model, seed, lengths, extra):
    sequences = _sequences(seed, lengths)
    together = model.encode(_pad(sequences)).numpy()
    alone = np.concatenate([model.encode(_pad([values])).numpy() for values in sequences])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
    padded = model.encode(_pad(sequences, extra=extra)).numpy()
    np.testing.assert_allclose(padded, together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("fill", FILLS)
def test_gradient_of_the_padded_inputs_is_exactly_zero(precision, fill):
    options = TrainOptions(units=8, embedding_size=5, precision=precision)
    autoencoder = MaskedAutoencoder(features=F, options=options)
    batch = _pad(_sequences(5, [4, 1, 7]), fill, extra=2)
    values = tf.Variable(batch.values)
    with tf.GradientTape() as tape:
        result = tf.reduce_sum(
            tf.square(autoencoder(batch._replace(values=tf.convert_to_tensor(values))))
        )
    weights = autoencoder.trainable_variables
    gradient, *of_weights = tape.gradient(result, [values, *(w.value for w in weights)])
    valid = tf.sequence_mask(batch.length, values.shape[1]).numpy()
    assert (gradient.numpy()[~valid] == 0.0).all()
    assert (gradient.numpy()[valid] != 0.0).any()
    assert np.isfinite(gradient.numpy()).all()
    assert all(np.isfinite(g.numpy()).all() for g in of_weights)


def test_a_zero_step_counts_like_any_other(model):
    [sequence] = _sequences(6, [6])
    with_zeros = np.insert(sequence, 3, 0.0, axis=0)
    embedding = model.encode(_pad([sequence, with_zeros])).numpy()
    assert np.abs(embedding[0] - embedding[1]).max() > 1e-3
    at_the_end = np.append(sequence, np.zeros((1, F), np.float32), axis=0)
    embedding = model.encode(_pad([sequence, at_the_end])).numpy()
    assert np.abs(embedding[0] - embedding[1]).max() > 1e-3


def test_the_portable_model_takes_the_weights_and_gives_the_same(model):
    portable = MaskedAutoencoder(features=F, options=OPTIONS, portable=True)
    portable.set_weights(model.get_weights())
    batch = _pad(_sequences(7, [3, 9]))
    np.testing.assert_allclose(portable(batch).numpy(), model(batch).numpy(), atol=5e-7)
    for layer in (*portable.encoder, *portable.decoder):
        assert layer.use_cudnn is False
    assert model.encoder[0].use_cudnn == "auto"


def test_the_recurrent_layers_are_those_that_cudnn_can_run(model):
    """Keras takes cuDNN's LSTM only for these; no mask is passed, so padding cannot forbid it."""
    for layer in (*model.encoder, *model.decoder):
        assert layer.cell.activation is keras.activations.tanh
        assert layer.cell.recurrent_activation is keras.activations.sigmoid
        assert layer.cell.recurrent_dropout == 0
        assert layer.cell.use_bias
        assert not layer.unroll
