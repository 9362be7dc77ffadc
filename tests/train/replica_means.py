"""The control: a mean a replica, averaged, as in Keras; each replica divides by its own count."""

import contextlib
from collections.abc import Iterator
from types import ModuleType

import tensorflow as tf


@contextlib.contextmanager
def used_by(trainer: ModuleType) -> Iterator[None]:
    """Within it, what the module `trainer` compiles is the control."""
    trainer.tf = _Control()
    try:
        yield
    finally:
        trainer.tf = tf


class _MeanOfMeans:
    """The count of this replica alone, times the replicas: a mean of means."""

    def __getattr__(self, name):
        return getattr(tf.distribute.get_replica_context(), name)

    def all_reduce(self, op, value):
        context = tf.distribute.get_replica_context()
        if value[0].shape.rank:  # Gradients.
            return context.all_reduce(op, value)
        return [count * context.num_replicas_in_sync for count in value]


class _Distribute:
    ReduceOp = tf.distribute.ReduceOp
    get_replica_context = staticmethod(_MeanOfMeans)


class _Control:
    distribute = _Distribute

    def __getattr__(self, name):
        return getattr(tf, name)
