"""Make models that do what no encoder should, while they are loaded or called."""

import pathlib

import tensorflow as tf

F = 3


def save(folder: pathlib.Path, encode, module: tf.Module | None = None) -> pathlib.Path:
    """A SavedModel whose `encode` is a function of values [B, T, F] and length [B]."""
    module = module or tf.Module()
    spec = [
        tf.TensorSpec([None, None, F], tf.float32, "values"),
        tf.TensorSpec([None], tf.int64, "length"),
    ]
    module.encode = tf.function(
        lambda values, length: {"embedding": encode(values, length)}, input_signature=spec
    )
    tf.saved_model.save(module, str(folder), signatures={"encode": module.encode})
    return folder


def writes_when_loaded(folder: pathlib.Path) -> pathlib.Path:
    """`folder/model`, whose resource's initialiser, which Python's loader runs, saves a file."""

    class Resource(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.HashTableV2(
                key_dtype=tf.string, value_dtype=tf.int64, shared_name="x"
            )

        def _initialize(self):
            tf.raw_ops.SaveV2(
                prefix=str(folder / "written"), tensor_names=["a"], shape_and_slices=[""],
                tensors=[tf.constant(1.0)],
            )  # fmt: skip

    module = tf.Module()
    module.resource = Resource()
    assert module.resource.resource_handle is not None
    return save(folder / "model", lambda values, length: tf.reduce_sum(values, 1), module)


def writes_when_asked(folder: pathlib.Path) -> pathlib.Path:
    """`folder/model`, which writes 1 MB to `folder/written` and answers."""

    def encode(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        write = tf.io.write_file(str(folder / "written"), tf.strings.reduce_join(["x"] * 10**6))
        with tf.control_dependencies([write]):
            return tf.reduce_sum(values, 1)

    return save(folder / "model", encode)


def never_ends(folder: pathlib.Path) -> pathlib.Path:
    """A model that loads, and answers nothing for ever."""

    def encode(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        [total] = tf.while_loop(
            lambda total: tf.reduce_all(tf.math.is_finite(total)),
            lambda total: [total * 0.5],
            [tf.reduce_sum(tf.where(tf.math.is_finite(values), values, 0.0), 1)],
        )
        return total

    return save(folder, encode)


def is_hungry(folder: pathlib.Path, numbers: int) -> pathlib.Path:
    """A model that holds so many float32 while it answers."""

    def encode(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        many = tf.fill([tf.size(values, tf.int64) + numbers], tf.cast(tf.size(length), tf.float32))
        return tf.reduce_sum(values, 1) + 0.0 * tf.reduce_max(tf.sort(many))

    return save(folder, encode)
