"""Read shards of records with TensorFlow, which opens only files on this machine's disk.

A shard in a store of objects is downloaded when its turn comes, while the one before it is read. It
stays in a cache of CACHE_BYTES in the temporary folder (TMPDIR), for later passes; the least
recently used goes first. A pass over more than the cache holds downloads all of it again.
"""

import collections
import functools
import gc
import os
import pathlib
import tempfile
import threading
from collections.abc import Collection

import numpy as np
import tensorflow as tf

from ragline.components.files import places, storage

CACHE_BYTES = 2**32
AT_ONCE = 8  # Shards that `read_at_once` unpacks at a time.
# So many shards stay in any case, for what was downloaded and not yet opened must not go: of
# `read_at_once` one group that is opened and the next one, of `read` two shards.
_FEWEST = 2 * AT_ONCE


class ShardCache:
    """Keeps local copies of shards that are in a store, and whose content never changes."""

    def __init__(self, folder: str, most_bytes: int = CACHE_BYTES) -> None:
        """Begin with nothing, in a folder of its own, which goes with the process."""
        self._most_bytes = most_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="records-", dir=folder)
        self._sizes: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._lock = threading.Lock()

    def path(self, shard: str) -> pathlib.Path:
        """Return the path of a shard on this machine's disk; it is downloaded if it is missing."""
        with self._lock:
            file = self._file(shard)
            if shard not in self._sizes:
                places.download(shard, file)
                self._sizes[shard] = file.stat().st_size
            self._sizes.move_to_end(shard)
            while sum(self._sizes.values()) > self._most_bytes and len(self._sizes) > _FEWEST:
                oldest, _ = self._sizes.popitem(last=False)
                self._file(oldest).unlink()
            return file

    def _file(self, shard: str) -> pathlib.Path:
        return pathlib.Path(self._folder.name, storage.digest_of([shard]))


@functools.cache
def _cache_in(folder: str) -> ShardCache:
    """Return the cache in a temporary folder; each command has one, and removes it at its end."""
    return ShardCache(folder)


def matching(patterns: Collection[str]) -> tuple[str, ...]:
    """Return the shards of patterns, `FOLDER/*`, in order."""
    parted = [pattern.rpartition("/") for pattern in patterns]
    return tuple(sorted(file for top, _, name in parted for file in places.inside(top, name)))


def local(shard: str) -> str:
    """Return the path of a shard on this machine's disk: the file itself, or its copy."""
    if places.is_local(shard):
        return shard
    return os.fspath(_cache_in(tempfile.gettempdir()).path(shard))


def read(files: Collection[str]) -> tf.data.Dataset:
    """Read the serialised records of gzipped TFRecord shards, in order."""
    if all(map(places.is_local, files)):
        return tf.data.TFRecordDataset(list(files), "GZIP")
    return _groups(files, 1).flat_map(_opened)


def read_at_once(files: Collection[str], batch: int) -> tf.data.Dataset:
    """Read the serialised records of gzipped TFRecord shards, AT_ONCE in turn, in batches."""
    # By groups, since an `interleave` over all asks for three times as many shards as it reads.
    return _groups(files, AT_ONCE).flat_map(
        lambda group: tf.data.Dataset.from_tensor_slices(group).interleave(
            lambda path: _opened(path).batch(batch),
            cycle_length=AT_ONCE,
            num_parallel_calls=AT_ONCE,
            deterministic=True,
        )
    )


def _opened(paths: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(paths, "GZIP")


def _groups(files: Collection[str], number: int) -> tf.data.Dataset:
    """Yield the local paths of so many shards, while those before are read."""
    names = tf.data.Dataset.from_tensor_slices(list(files)).batch(number)
    if all(map(places.is_local, files)):
        return names
    return names.map(
        lambda group: tf.ensure_shape(tf.numpy_function(_local_paths, [group], tf.string), [None])
    ).prefetch(1)


def _local_paths(names: np.ndarray) -> np.ndarray:
    """Return local paths, in a thread of TensorFlow's pool.

    Meanwhile Python's search for cyclic garbage is off: an object of TensorFlow's that it frees may
    wait for a thread of that pool.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return np.array([local(name.decode()).encode() for name in names], object)
    finally:
        if was_on:
            gc.enable()
