"""Write shards: gzipped TFRecord files that are whole under their names."""

import io
import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

import pyarrow.compute as pc
from isal import igzip, isal_zlib
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from ragline.components.contract.columns import LENGTH
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import Staged, sha256
from ragline.components.ingest.source import framing

# On floats as on text, as small as zlib's level 6 and 8 to 30 times as fast.
_LEVEL = 2
_GZIP = 16 + 15
# Records that are decoded at once.
_READ = 1024
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Describes one shard as it was read back: its manifest entry, and its number of steps."""

    name: str
    records: int
    bytes: int
    sha256: str
    steps: int


class ShardWriter:
    """Writes one shard; it appears under its name when it is whole, and not at all on an error.

    Made at its first record, so that a split that gets none has no empty shard.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._staged = Staged(place)
        self._file = self._staged.file.open("wb")
        self._gzip = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)

    def write(self, records: Iterable[bytes]) -> None:
        """Append serialised records to the shard."""
        self._file.write(self._gzip.compress(b"".join(map(framing.frame, records))))

    def finish(self) -> Shard:
        """Complete the shard, and read it back."""
        self._file.write(self._gzip.flush())
        self._file.close()
        self._staged.publish()
        return read_back(self._place)

    def abandon(self) -> None:
        """Discard what was written."""
        self._file.close()
        self._staged.discard()


def read_back(place: Place) -> Shard:
    """Read a shard to its last checksum, and count what it holds."""
    schema = schema_pb2.Schema()
    schema.feature.add(name=LENGTH, type=schema_pb2.INT)
    decoder = ExamplesToRecordBatchDecoder(schema.SerializeToString())
    records = steps = 0
    with places.open(place) as stored, igzip.open(stored) as unzipped:  # type: ignore[no-untyped-call]
        # Two small reads a record, of which most cost little behind a buffer of this kind.
        file = io.BufferedReader(unzipped, _BUFFER)
        framed = (record for _, record in framing.records(file, None, str(place)))
        while batch := list(itertools.islice(framed, _READ)):
            length = decoder.DecodeBatch(batch).column(LENGTH).flatten()
            steps += pc.sum(length).as_py()
            records += len(batch)
    return Shard(
        name=os.path.basename(place),
        records=records,
        bytes=places.size(place),
        sha256=sha256(place),
        steps=steps,
    )


class ShardSet:
    """Writes the shards of one unit, one a split that gets a record."""

    def __init__(self, folders: Mapping[str, Place], name: str) -> None:
        self._folders = folders
        self._name = name
        self._open: dict[str, ShardWriter] = {}
        self.finished: dict[str, Shard] = {}

    def write(self, split: str, records: Iterable[bytes]) -> None:
        """Add records to a split's shard."""
        if split not in self._open:
            self._open[split] = ShardWriter(f"{self._folders[split]}/{self._name}")
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
                # When it was processed before, this unit may have had records that are refused now.
                places.remove(f"{self._folders[split]}/{self._name}")
