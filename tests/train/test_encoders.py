"""Every encoder and decoder of the registries keeps the padding contract, exactly."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled
from train import samples
from train.samples import FILLS, VOCABULARIES, F

from ragline.components.train import decoders, encoders
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.options import TrainOptions

NAMES = tuple(encoders.ENCODERS)
PAIRS = [(name, "repeat") for name in NAMES] + [
    ("lstm", name) for name in decoders.DECODERS if name != "repeat"
]
every_encoder = pytest.mark.parametrize("name", NAMES)
every_pair = pytest.mark.parametrize("pair", PAIRS, ids="-".join)
lengths_of_batches = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def _options(name: str, decoder: str = "repeat", **options) -> TrainOptions:
    shape = {"units": 8, "embedding_size": 5, "layers": 2, "linear_steps": 4} | options
    return TrainOptions(encoder=name, decoder=decoder, **shape)


@functools.cache
def _built(options: TrainOptions, *, portable: bool = False, words: bool = False):
    keras.utils.set_random_seed(0)
    vocabularies = VOCABULARIES if words else ()
    built = MaskedAutoencoder(
        features=F, options=options, vocabularies=vocabularies, portable=portable
    )
    rng = np.random.default_rng(0)  # No bias of 0.
    built.set_weights([w + rng.normal(0.0, 0.1, w.shape) for w in built.get_weights()])
    return built


@functools.cache
def _compiled(options: TrainOptions, *, portable: bool):
    """A batch -> embedding and reconstruction, of any shape."""
    built = _built(options, portable=portable)
    spec = SequenceBatch(
        tf.TensorSpec([None, None, F]),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None, None]),
    )

    def answers(batch: SequenceBatch) -> tuple[tf.Tensor, tf.Tensor]:
        embedding = built.encode(batch)
        return embedding, built.decode(embedding, batch).values

    compiled = tf.function(answers, input_signature=[spec], autograph=False)
    return lambda batch: [answer.numpy() for answer in compiled(batch)]


def _sequences(seed: int, lengths) -> list[np.ndarray]:
    return [sample.values for sample in samples.make(seed, lengths)]


FORMS = [
    pytest.param(
        *(pair, portable),
        # The others are trained with dense layers of another kind alone.
        marks=[] if portable or encoders.of(pair[0]).takes_masks else pytest.mark.full,
        id=f"{'exported' if portable else 'trained'}-{'-'.join(pair)}",
    )
    for portable in (False, True)
    for pair in PAIRS
]


@pytest.mark.parametrize(("pair", "portable"), FORMS)
@settings(deadline=None, max_examples=sampled(8))
@given(
    seed=st.integers(0, 2**16),
    lengths=lengths_of_batches,
    fill=st.sampled_from(FILLS),
    extra=st.integers(1, 150),
)
def test_neither_padding_nor_company_changes_an_answer(pair, portable, seed, lengths, fill, extra):
    """The content of the padding no bit, all else to the contract's 1e-6, at outputs of about 1."""
    ask = _compiled(_options(*pair), portable=portable)
    sequences = _sequences(seed, lengths)
    plain, filled = (samples.batch(sequences, each, extra) for each in (0.0, fill))
    embedding, outputs = ask(plain)
    for one, other in zip(ask(filled), (embedding, outputs), strict=True):
        assert (one == other).all()
    assert (outputs[~plain.valid.numpy()] == 0.0).all()
    assert np.isfinite(outputs).all() and np.isfinite(embedding).all()
    together = ask(samples.batch(sequences))
    np.testing.assert_allclose(together[0], embedding, rtol=0, atol=1e-6)
    np.testing.assert_allclose(together[1], outputs[:, :-extra], rtol=0, atol=1e-6)
    for row, values in enumerate(sequences):
        alone = ask(samples.batch([values]))
        np.testing.assert_allclose(alone[0][0], embedding[row], rtol=0, atol=1e-6)
        np.testing.assert_allclose(alone[1][0], outputs[row, : len(values)], rtol=0, atol=1e-6)


@every_pair
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradient_of_the_padding_is_exactly_zero(pair, precision):
    """Of every content, each in a row of its own."""
    built = _built(_options(*pair, precision=precision))
    batch = samples.batch(_sequences(5, [4, 1, 9, 2, 5]), extra=2)
    fills = tf.reshape(tf.constant(FILLS), [len(FILLS), 1, 1])
    values = tf.Variable(tf.where(batch.valid[..., tf.newaxis], batch.values, fills))
    with tf.GradientTape() as tape:
        given_values = batch._replace(values=tf.convert_to_tensor(values))
        total = tf.reduce_sum(tf.square(built(given_values)))
        total += tf.reduce_sum(tf.square(built.encode(given_values)))
    weights = [weight.value for weight in built.trainable_variables]
    gradient, *of_weights = tape.gradient(total, [values, *weights])
    valid = batch.valid.numpy()
    assert (gradient.numpy()[~valid] == 0.0).all()
    assert (gradient.numpy()[valid] != 0.0).all(axis=-1).mean() > 0.9
    assert all(slope is not None and np.isfinite(slope).all() for slope in of_weights)


@every_encoder
def test_a_step_of_zeros_counts_like_any_other(name):
    built = _built(_options(name, linear_steps=0))
    [sequence] = _sequences(6, [6])
    others = np.insert(sequence, 3, 0.0, axis=0), np.append(sequence, np.zeros((1, F)), axis=0)
    embedding = built.encode(samples.batch([sequence, *others])).numpy()
    assert (np.abs(embedding[1:] - embedding[0]).max(axis=1) > 1e-4).all()


@every_encoder
def test_every_step_has_a_part_in_the_embedding(name):
    """Of sequences that are as long as any encoder sees."""
    built = _built(_options(name, linear_steps=0))
    batch = samples.batch(_sequences(7, [20, 40]))
    with tf.GradientTape() as tape:
        tape.watch(batch.values)
        total = tf.reduce_sum(tf.square(built.encode(batch)))
    slopes = tape.gradient(total, batch.values).numpy()
    assert (np.abs(slopes).max(axis=2) > 0).tolist() == batch.valid.numpy().tolist()


@every_encoder
def test_the_exported_model_takes_the_weights_and_gives_the_same(name):
    trained, exported = (_built(_options(name), portable=each) for each in (False, True))
    exported.set_weights(trained.get_weights())
    batch = samples.batch(_sequences(8, [3, 9, 150]))
    embedding = trained.encode(batch).numpy()
    np.testing.assert_allclose(exported.encode(batch).numpy(), embedding, rtol=0, atol=2e-6)


@every_encoder
def test_dropout_draws_no_other_numbers_with_more_padding(name):
    built = _built(_options(name, dropout=0.5))
    sequences = _sequences(9, [5, 2, 8])

    def drawn(batch: SequenceBatch) -> np.ndarray:
        built.dropout.seed_generator.state.assign([3, 1])
        return built.encode(batch, training=True).numpy()

    embedding = drawn(samples.batch(sequences))
    padded = drawn(samples.batch(sequences, np.nan, extra=7))
    np.testing.assert_allclose(padded, embedding, rtol=0, atol=1e-6)
    assert (built.encode(samples.batch(sequences)).numpy() != embedding).any(axis=1).all()


@every_encoder
def test_an_empty_batch_has_an_empty_answer(name):
    built = _built(_options(name), portable=True)
    empty = SequenceBatch.complete(tf.zeros([0, 3, F]), tf.zeros([0], tf.int64))
    assert built.encode(empty).shape == (0, 5)


@every_encoder
def test_categories_are_read(name):
    built = _built(_options(name), words=True)
    batch = samples.batch(_sequences(1, [4, 7]))
    ids = {each.name: tf.zeros([2, 7], tf.int64) for each in VOCABULARIES}
    embedding = built.encode(batch._replace(token_ids=ids)).numpy()
    others = ids | {VOCABULARIES[0].name: tf.constant([[0] * 3 + [1] + [9] * 3, [0] * 7], tf.int64)}
    changed = built.encode(batch._replace(token_ids=others)).numpy()
    assert (changed[0] != embedding[0]).any()
    np.testing.assert_allclose(changed[1], embedding[1], rtol=0, atol=1e-7)


# Of both recurrent ones, the first.
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.full if name == "gru" else []) for name in NAMES],
)
def test_the_loop_trains_it(name, tmp_path):
    """On sequences whose values are all the same: the error falls to a fifth."""
    rng = np.random.default_rng(0)
    made = [
        samples.Sample(values=np.repeat(rng.normal(size=(1, F)), steps, 0).astype(np.float32))
        for steps in rng.integers(1, 20, 32)
    ]
    path = samples.write(tmp_path / "shard", [samples.record(sample) for sample in made])
    options = _options(name, linear_steps=0, layers=1, units=16, learning_rate=1e-2)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    batches = samples.read(path, batch_size=8).cache()
    first = trainer.measure(batches)["loss"]
    for _ in range(15):
        trainer.update(batches)
    assert trainer.measure(batches)["loss"] < first / 5


@every_encoder
@pytest.mark.parametrize("shape", [{}, {"layers": 2, "units": 12}], ids=str)
def test_it_states_its_size(name, shape):
    options = _options(name, **{"layers": 1} | shape)
    encoder = encoders.of(name)
    built = _built(options)
    count = sum(layer.count_params() for layer in built.encoder)
    assert encoder.parameters(F, options) == pytest.approx(count, rel=0.1)  # Biases, once.
    assert encoder.outputs(options) == built.projection.kernel.shape[0]
    assert encoder.numbers_a_step(F, options) > 0
    assert encoder.how


def test_only_recurrent_layers_read_both_ways():
    for name in NAMES:
        if encoders.of(name).takes_masks:
            _options(name, bidirectional=True)
            continue
        with pytest.raises(ValueError, match=f"false with encoder = '{name}', received true"):
            _options(name, bidirectional=True)
        with pytest.raises(ValueError, match="textbook model; expected a recurrent encoder"):
            _options(name, padding="keras")


def test_an_unknown_name_is_refused_with_every_name():
    with pytest.raises(ValueError, match=r"encoder: expected 'lstm', 'gru', .*received 'lsmt'"):
        TrainOptions(encoder="lsmt")
    with pytest.raises(ValueError, match="decoder: expected 'repeat' or 'teacher', received 'x'"):
        TrainOptions(decoder="x")
