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

import tensorflow as tf

from ragline.components.files import places, storage

CACHE_BYTES = 2**32
# So many shards stay in any case: a pass asks for at most two shards before it opens the first
# (`read`), and some passes may go on at once.
_FEWEST = 16


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
    paths = tf.data.Dataset.from_tensor_slices(list(files)).map(
        lambda name: tf.ensure_shape(tf.numpy_function(_path, [name], tf.string), [])
    )
    return paths.prefetch(1).flat_map(lambda path: tf.data.TFRecordDataset(path, "GZIP"))


def _path(name: bytes) -> bytes:
    """Return a local path, in a thread of TensorFlow's pool.

    Meanwhile Python's search for cyclic garbage is off: an object of TensorFlow's that it frees may
    wait for a thread of that pool.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return local(name.decode()).encode()
    finally:
        if was_on:
            gc.enable()
