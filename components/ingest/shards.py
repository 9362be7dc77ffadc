"""Shards: gzipped TFRecord files that are whole under their names, and what each holds."""

import io
import itertools
import os
import pathlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

import pyarrow.compute as pc
from isal import igzip, isal_zlib
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.ingest import framing
from components.sequence import LENGTH
from components.storage import fsync, sha256

# On floats as on text, as small as zlib's level 6 and 8 to 30 times as fast.
_LEVEL = 2
_GZIP = 16 + 15
# Records that are decoded at once.
_READ = 1024
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One shard as it was read back: its manifest entry, and its steps."""

    name: str
    records: int
    bytes: int
    sha256: str
    steps: int


class ShardWriter:
    """Writes one shard; it appears under its name when it is whole, and not at all on an error.

    Made at its first record, so that a split that gets none has no empty shard.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        # A name that starts with a dot is in no pattern of TFX's.
        self._staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file = self._staged.open("wb")
        self._gzip = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)

    def write(self, records: Iterable[bytes]) -> None:
        """Adds records."""
        self._file.write(self._gzip.compress(b"".join(map(framing.frame, records))))

    def finish(self) -> Shard:
        """Completes the shard and reads it back."""
        self._file.write(self._gzip.flush())
        self._file.close()
        fsync(self._staged)
        os.replace(self._staged, self._path)
        return read_back(self._path)

    def abandon(self) -> None:
        """Leaves nothing."""
        self._file.close()
        self._staged.unlink(missing_ok=True)


def read_back(path: pathlib.Path) -> Shard:
    """Counts what stands in a shard, down to its last checksum."""
    schema = schema_pb2.Schema()
    schema.feature.add(name=LENGTH, type=schema_pb2.INT)
    decoder = ExamplesToRecordBatchDecoder(schema.SerializeToString())
    records = steps = 0
    with igzip.open(path) as unzipped:  # type: ignore[no-untyped-call]
        # Two small reads a record, of which most cost little behind a buffer of this kind.
        file = io.BufferedReader(unzipped, _BUFFER)
        framed = (record for _, record in framing.records(file, None, str(path)))
        while batch := list(itertools.islice(framed, _READ)):
            length = decoder.DecodeBatch(batch).column(LENGTH).flatten()
            steps += pc.sum(length).as_py()
            records += len(batch)
    return Shard(
        name=path.name,
        records=records,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        steps=steps,
    )


class ShardSet:
    """The shards of one unit, one a split that gets a record."""

    def __init__(self, folders: Mapping[str, pathlib.Path], name: str) -> None:
        self._folders = folders
        self._name = name
        self._open: dict[str, ShardWriter] = {}
        self.finished: dict[str, Shard] = {}

    def write(self, split: str, records: Iterable[bytes]) -> None:
        """Adds records to a split's shard."""
        if split not in self._open:
            self._open[split] = ShardWriter(self._folders[split] / self._name)
        self._open[split].write(records)

    def __enter__(self) -> "ShardSet":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for split, writer in self._open.items():
            if error is None:
                self.finished[split] = writer.finish()
            else:
                writer.abandon()
        if error is None:
            for split in self._folders.keys() - self._open.keys():
                # An earlier turn of this unit may have had records that are refused now.
                (self._folders[split] / self._name).unlink(missing_ok=True)
