"""The fused LSTM beside Keras's and the float64 oracle: outputs and every gradient."""

import itertools

import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.runtime import cores
from ragline.components.train.model.lstm.fused_lstm import LSTM
from ragline.components.train.model.sequence_layers import GRU, SequenceLayer

F, E, H = 3, 2, 5
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def _layer(inputs: int, cell: type[SequenceLayer] = LSTM, **options):
    """With weights of a trained one's size, the bias too."""
    layer = cell(H, return_sequences=True, **options)
    layer.build((None, None, inputs))
    rng = np.random.default_rng(inputs)
    layer.set_weights([rng.normal(0.0, 0.7, weight.shape) for weight in layer.get_weights()])
    return layer


def _repeated(constant: tf.Tensor | None, sequences: tf.Tensor) -> tf.Tensor:
    if constant is None:
        return sequences
    repeated = tf.repeat(constant[:, tf.newaxis], tf.shape(sequences)[1], axis=1)
    return tf.concat([repeated, sequences], axis=2)


def _gradients(layer, outputs_of, tensors: dict[str, tf.Tensor], length: np.ndarray):
    """Outputs, and the gradients by input and weight, of a sum over the valid steps alone."""
    weights = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = outputs_of(tensors)
        valid = tf.sequence_mask(length, outputs.shape[1])[..., tf.newaxis]
        share = tf.reshape(tf.sin(tf.range(tf.size(outputs), dtype=tf.float32)), outputs.shape)
        total = tf.reduce_sum(tf.where(valid, share * outputs, 0.0))
    by_weight, by_tensor = tape.gradient(total, [weights, tensors])
    return outputs.numpy(), by_weight, by_tensor


def _tensors(seed: int, length: np.ndarray, extra: int, features: int, constant: bool):
    rng = np.random.default_rng(seed)
    shape = (len(length), int(length.max()) + extra, features)
    tensors = {"sequences": tf.constant(rng.normal(size=shape), tf.float32)}
    if constant:
        tensors["constant"] = tf.constant(rng.normal(size=(len(length), E)), tf.float32)
    return tensors


@settings(deadline=None, max_examples=sampled(20))
@given(
    seed=st.integers(0, 2**16),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    extra=st.integers(0, 4),
    inputs=st.sampled_from([(F, False), (F, True), (0, True)]),
    options=st.sampled_from([{}, {"use_cudnn": False}]),
)
def test_outputs_and_gradients_are_those_of_keras(seed, lengths, extra, inputs, options):
    features, constant = inputs
    layer = _layer(features + E * constant, **options)
    length = np.array(lengths)
    tensors = _tensors(seed, length, extra, features, constant)

    def ours(given: dict[str, tf.Tensor]) -> tf.Tensor:
        return layer.run(**given)

    def theirs(given: dict[str, tf.Tensor]) -> tf.Tensor:
        return layer(_repeated(given.get("constant"), given["sequences"]))

    actual, by_weight, by_tensor = _gradients(layer, ours, tensors, length)
    expected, *slopes = _gradients(layer, theirs, tensors, length)
    np.testing.assert_allclose(actual, expected, **TOLERANCE)
    for one, other in zip(by_weight, slopes[0], strict=True):
        np.testing.assert_allclose(one, other, **TOLERANCE)
    if constant:
        np.testing.assert_allclose(by_tensor["constant"], slopes[1]["constant"], **TOLERANCE)
    if features:
        slope = by_tensor["sequences"].numpy()
        np.testing.assert_allclose(slope, slopes[1]["sequences"], **TOLERANCE)
        assert (slope[~tf.sequence_mask(length, actual.shape[1]).numpy()] == 0.0).all()


@pytest.mark.parametrize("length", [[6, 1, 4], [5], list(range(1, 41))], ids=len)
@pytest.mark.parametrize("options", [{}, {"use_cudnn": False}], ids=["trained", "exported"])
@pytest.mark.parametrize(("features", "constant"), [(F, False), (F, True), (0, True)])
def test_outputs_are_those_of_the_oracle_without_padding(features, constant, options, length):
    layer = _layer(features + E * constant, **options)
    length = np.array(length)
    tensors = _tensors(1, length, 2, features, constant)
    inputs = _repeated(tensors.get("constant"), tensors["sequences"]).numpy()
    actual = layer.run(**tensors).numpy()
    for row, steps in enumerate(length):
        expected = oracle.lstm(inputs[row, :steps], *layer.get_weights())
        np.testing.assert_allclose(actual[row, :steps], expected, rtol=0, atol=1e-6)


def test_the_gradient_of_the_weights_is_that_of_the_oracle():
    """By central differences in float64, over sequences without their padding."""
    layer = _layer(F)
    length = np.array([4, 1])
    tensors = _tensors(2, length, 3, F, constant=False)
    outputs, actual, _ = _gradients(layer, lambda given: layer.run(**given), tensors, length)
    share = np.sin(np.arange(outputs.size)).reshape(outputs.shape)
    weights = [weight.astype(np.float64) for weight in layer.get_weights()]

    def total() -> float:
        rows = zip(tensors["sequences"].numpy(), share, length, strict=True)
        return sum((s[:n] * oracle.lstm(x[:n], *weights)).sum() for x, s, n in rows)

    for weight, slope in zip(weights, actual, strict=True):
        for place in itertools.islice(np.ndindex(weight.shape), 0, None, 7):
            kept, slopes = weight[place], []
            for nudge in (1e-5, -1e-5):
                weight[place] = kept + nudge
                slopes.append(total() / (2 * nudge))
            weight[place] = kept
            assert slope.numpy()[place] == pytest.approx(sum(slopes), rel=1e-5, abs=1e-5)


def test_one_trace_serves_every_shape_and_an_empty_batch():
    layer = _layer(F)

    @tf.function(input_signature=[tf.TensorSpec([None, None, F])])
    def slopes(sequences: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = layer.run(sequences)
            total = tf.reduce_sum(tf.square(outputs))
        return tape.gradient(total, [weight.value for weight in layer.trainable_variables])

    for rows, steps in ((2, 1), (3, 7), (0, 4)):
        actual = slopes(tf.ones([rows, steps, F]))
        assert [(slope.numpy() != 0.0).any() for slope in actual] == [
            rows > 0,
            rows > 0 and steps > 1,
            rows > 0,
        ]
        assert np.isfinite(np.concatenate([slope.numpy().ravel() for slope in actual])).all()


NOT_SERVED = {
    "relu": {"activation": "relu"},
    "hard sigmoid": {"recurrent_activation": "hard_sigmoid"},
    "no bias": {"use_bias": False},
    "bfloat16": {"dtype": "mixed_bfloat16"},
    "dropout": {"recurrent_dropout": 0.5},
    "backwards": {"go_backwards": True},
}


@pytest.mark.parametrize("options", NOT_SERVED.values(), ids=NOT_SERVED)
def test_what_is_not_served_runs_as_keras_runs_it(options):
    layer = _layer(E + F, **options)
    assert not layer.is_fused
    tensors = _tensors(3, np.array([4, 2]), 0, F, constant=True)
    expected = layer(_repeated(tensors["constant"], tensors["sequences"]))
    np.testing.assert_array_equal(layer.run(**tensors), expected)


def test_a_gru_runs_as_keras_runs_it():
    layer = _layer(E + F, cell=GRU)
    tensors = _tensors(3, np.array([4, 2]), 0, F, constant=True)
    expected = layer(_repeated(tensors["constant"], tensors["sequences"]))
    np.testing.assert_array_equal(layer.run(**tensors), expected)


def test_a_mask_is_left_to_keras():
    layer = _layer(F)
    assert layer.is_fused
    [sequences] = _tensors(4, np.array([5, 5]), 0, F, constant=False).values()
    mask = tf.sequence_mask([5, 2], 5)
    actual = layer.run(sequences, mask=mask)
    np.testing.assert_array_equal(actual, layer(sequences, mask=mask))
    np.testing.assert_array_equal(actual[1, 2:], np.repeat(actual[1:, 1], 3, axis=0))


def _machine_has(monkeypatch, devices: list[str]) -> None:
    """The lists of devices say so, of physical ones and of logical ones."""
    for name in ("list_logical_devices", "list_physical_devices"):
        monkeypatch.setattr(tf.config, name, lambda kind=None: devices if kind == "GPU" else [])


def test_a_gpu_beside_the_cpu_that_holds_the_weights_changes_nothing(monkeypatch):
    """Neither who runs a layer, nor in how many parts a batch is computed."""
    layer = _layer(F)
    _machine_has(monkeypatch, ["/physical_device:GPU:0"])
    assert cores.device_of(layer.cell.kernel.value) == "CPU"
    assert layer.is_fused
    [sequences] = _tensors(5, np.array([4, 2]), 0, F, constant=False).values()
    np.testing.assert_allclose(layer.run(sequences), layer(sequences), **TOLERANCE)
    with tf.device("CPU:0"):
        assert _layer(F).is_fused


@pytest.mark.parametrize("device", ["GPU", "TPU"])
def test_weights_on_another_device_are_left_to_keras(monkeypatch, device):
    """Also where the machine says that it has none; an exported graph is for any."""
    layer, exported = _layer(F), _layer(F, use_cudnn=False)
    _machine_has(monkeypatch, [])
    place = f"/job:localhost/replica:0/task:0/device:{device}:0"
    variable = type("Variable", (), {"device": place})
    assert cores.device_of(variable) == device
    monkeypatch.setattr(cores, "device_of", lambda variable: device)
    assert not layer.is_fused
    assert exported.is_fused
    assert cores.batch_shards(device) == 1


def test_a_batch_is_computed_in_two_parts_on_several_cores(monkeypatch):
    for number, shards in ((1, 1), (2, 2), (8, 2)):
        monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _, n=number: set(range(n)))
        assert cores.batch_shards("CPU") == shards
