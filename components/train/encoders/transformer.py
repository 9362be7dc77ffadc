"""Define the encoder `transformer`: attention among the valid steps, pooled by attention.

    h = x W + b + position
    h = h + attention(norm(h))          softmax over the valid steps of q[t] k[s] / sqrt(H / heads)
    h = h + W2 relu(norm(h) W1 + b1)    four times as wide; both once more for each further layer
    result = sum over the valid steps of softmax(norm(h)[t] w) norm(h)[t]

Masks come from the lengths: what stands at another step than a valid one has a weight of exactly 0.
Of an exported graph, the steps attend in groups, so that memory grows with T and not with its
square.

Vaswani et al. 2017, "Attention Is All You Need", normalised before each part as in Xiong et al.
2020, "On Layer Normalization in the Transformer Architecture".
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ragline.components.serving.portable import MASK, STEPS, Recorder
from ragline.components.train.encoders.interface import Drop, Encoder, Layers

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import TrainOptions

_HEADS, _WIDER, _EPSILON = 4, 4, 1e-6
_NEVER = -1e30  # Of a softmax, whose exponential is 0.
_GROUP = 128  # Steps that attend at once.
_PARTS = 6  # Layers of a layer: norm, q k v, out, norm, wide, narrow.


class Transformer(Encoder):
    """Reads all steps at once."""

    how = "attention among the valid steps, pooled by attention"

    def layers(self, inputs: int, options: "TrainOptions", portable: bool) -> Layers:
        """Return the layer that reads the steps, those of each layer, and those of the pooling."""
        import keras

        from ragline.components.train.model.dense import Dense

        units = options.units

        def dense(name: str, size: int, outputs: int) -> Any:
            name = f"encoder_{name}"
            return Dense(size, outputs, exact=portable, name=name, dtype=options.policy)

        def norm(name: str) -> Any:
            name = f"encoder_{name}"
            layer = keras.layers.LayerNormalization(epsilon=_EPSILON, dtype="float32", name=name)
            layer.build((None, None, units))
            return layer

        layers = [dense("steps", inputs, units)]
        for place in range(options.layers):
            layers += [
                norm(f"norm_{place}"),
                dense(f"attention_{place}", units, 3 * units),
                dense(f"attended_{place}", units, units),
                norm(f"wide_norm_{place}"),
                dense(f"wide_{place}", units, _WIDER * units),
                dense(f"narrow_{place}", _WIDER * units, units),
            ]
        return [*layers, norm("norm"), dense("pooling", units, 1)]

    def read(
        self, layers: Layers, steps: "tf.Tensor", batch: "SequenceBatch", drop: Drop
    ) -> "tf.Tensor":
        """Return the pooled states."""
        import tensorflow as tf

        first, *blocks, last_norm, pooling = layers
        units = first.units
        times = tf.cast(tf.range(batch.steps), tf.float32)[:, tf.newaxis]
        angles = times * _frequencies(units)
        position = tf.concat([tf.sin(angles), tf.cos(angles)], axis=1)[:, :units]
        states = tf.cast(first(steps), tf.float32) + position
        for place in range(0, len(blocks), _PARTS):
            norm, attention, attended, wide_norm, wide, narrow = blocks[place : place + _PARTS]
            mixed = _attend(attention(norm(states)), batch.valid, grouped=first.exact)
            states += tf.cast(drop(attended(mixed)), tf.float32)
            added = narrow(tf.nn.relu(wide(wide_norm(states))))
            states += tf.cast(drop(added), tf.float32)
        states = last_norm(states)
        scores = tf.cast(pooling(states), tf.float32)
        share = tf.nn.softmax(tf.where(batch.valid[..., tf.newaxis], scores, _NEVER), axis=1)
        return tf.reduce_sum(share * states, axis=1)

    def numbers_a_step(self, inputs: int, options: "TrainOptions") -> int:
        """Return those of the weights among a group of steps, and of the widest layer."""
        return inputs + 3 * _heads(options.units) * _GROUP + 3 * _WIDER * options.units

    def record(self, recorder: Recorder, layers: Layers, options: "TrainOptions") -> str:
        """Record the same operations, of all steps at once."""
        call = recorder.call
        first, *blocks, last_norm, pooling = layers
        units = options.units

        def norm(layer: Any, states: str) -> Any:
            scale = recorder.weights(layer.gamma), recorder.weights(layer.beta)
            return call("LayerNormalization", states, *scale, axis=-1, epsilon=_EPSILON)

        one = np.array([1], np.int64)
        number = call("Squeeze", call("Shape", STEPS, start=1, end=2))
        times = call("Cast", call("Range", np.int64(0), number, np.int64(1)), to=1)
        angles = call("Mul", call("Unsqueeze", times, one), _frequencies(units))
        position = call("Concat", call("Sin", angles), call("Cos", angles), axis=1)
        position = call("Slice", position, np.array([0]), np.array([units]), one)
        states = call("Add", recorder.dense(first, STEPS), position)
        across = call("Unsqueeze", call("Transpose", MASK, perm=[0, 2, 1]), one)  # [B, 1, 1, T]
        heads = _heads(units)
        split = np.array([0, 0, heads, units // heads], np.int64)
        for place in range(0, len(blocks), _PARTS):
            first_norm, attention, attended, wide_norm, wide, narrow = blocks[
                place : place + _PARTS
            ]
            three = call(
                "Split", recorder.dense(attention, norm(first_norm, states)), outputs=3, axis=2
            )
            query, key, value = (call("Reshape", each, split) for each in three)
            query = call("Transpose", query, perm=[0, 2, 1, 3])
            scores = call("MatMul", query, call("Transpose", key, perm=[0, 2, 3, 1]))
            scores = call("Mul", scores, np.float32(math.sqrt(heads / units)))
            share = call("Softmax", call("Where", across, scores, np.float32(_NEVER)), axis=-1)
            mixed = call("MatMul", share, call("Transpose", value, perm=[0, 2, 1, 3]))
            mixed = call("Transpose", mixed, perm=[0, 2, 1, 3])
            mixed = call("Reshape", mixed, np.array([0, 0, units], np.int64))
            states = call("Add", states, recorder.dense(attended, mixed))
            added = call("Relu", recorder.dense(wide, norm(wide_norm, states)))
            states = call("Add", states, recorder.dense(narrow, added))
        states = norm(last_norm, states)
        scores = call("Where", MASK, recorder.dense(pooling, states), np.float32(_NEVER))
        pooled = call("Mul", call("Softmax", scores, axis=1), states)
        return str(call("ReduceSum", pooled, one, keepdims=0))


def _heads(units: int) -> int:
    return math.gcd(units, _HEADS)


def _frequencies(units: int) -> np.ndarray:
    """Return the frequencies of the positions, float32 [ceil(units / 2)]."""
    half = (units + 1) // 2
    return np.power(10_000.0, -np.arange(half) / half).astype(np.float32)


def _attend(three: "tf.Tensor", valid: "tf.Tensor", grouped: bool) -> "tf.Tensor":
    """Return what each step takes of the valid ones, [B, T, H], of queries, keys and values."""
    import tensorflow as tf

    units = three.shape[2] // 3
    heads = _heads(units)
    rows, steps = tf.unstack(tf.shape(three)[:2])
    split = tf.reshape(three, [rows, steps, 3, heads, units // heads])
    query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))  # [B, heads, T, H / heads]

    def mixed(query: "tf.Tensor") -> "tf.Tensor":
        scores = tf.matmul(query, key, transpose_b=True) * math.sqrt(heads / units)
        scores = tf.where(valid[:, tf.newaxis, tf.newaxis], tf.cast(scores, tf.float32), _NEVER)
        return tf.matmul(tf.cast(tf.nn.softmax(scores), value.dtype), value)

    if grouped:
        _, attended = tf.while_loop(
            lambda begin, _: begin < steps,
            lambda begin, done: (
                begin + _GROUP,
                tf.concat([done, mixed(query[:, :, begin : begin + _GROUP])], axis=2),
            ),
            (tf.constant(0), query[:, :, :0]),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([None, heads, None, units // heads]),
            ),
            parallel_iterations=1,
        )
    else:
        attended = mixed(query)
    return tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [rows, steps, units])
