"""Load a pushed encoder: its facts, from encoder.json, and its signatures `encode` and `score`.

OpenVINO and TensorFlow are imported when an embedding or an error first needs them.
"""

import os
import pathlib
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ragline.components.contract.columns import LENGTH, VALUES, Columns
from ragline.components.contract.errors import NoEncoderError, UsageError
from ragline.components.contract.signatures import EMBEDDING, ENCODE, RECONSTRUCTION_ERROR, SCORE
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import write_bytes
from ragline.components.runtime import quiet
from ragline.components.serving import facts, tables, versions
from ragline.components.serving.batches import Sequences, batches
from ragline.components.serving.facts import FeatureFacts, InputFacts
from ragline.components.serving.fast.fast_encoder import FastEncoder, fast_form

_MODEL_FILE = "saved_model.pb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Holds the facts that an encoder states in its encoder.json.

    Attributes:
      path: the encoder's folder, as an absolute path or the URI in a store.
      version: the folder's name; the number of a pushed encoder.
      columns: the features and categories, without context.
      embedding_size: E.
      features: the features, with the means and deviations of the training data.
      input: the way in which the raw files of its training were read.
    """

    path: str
    version: str
    columns: Columns
    embedding_size: int
    features: tuple[FeatureFacts, ...]
    input: InputFacts

    @classmethod
    def read(cls, path: Place) -> Self:
        """Read the facts of an encoder.

        Args:
          path: the folder of an encoder, or of numbered encoders, of which the newest is taken.

        Raises:
          NoEncoderError: there is none, or it does not state them.
        """
        path = _newest(os.path.realpath(path) if places.is_local(path) else os.fspath(path))
        stated = facts.read(path)
        return cls(
            path=path,
            version=os.path.basename(path),
            columns=stated.columns,
            embedding_size=stated.embedding_size,
            features=stated.features,
            input=stated.input,
        )


def _newest(path: str) -> str:
    path = path.rstrip("/")
    if places.exists(f"{path}/{_MODEL_FILE}"):
        return path
    folders = map(os.path.dirname, places.inside(path, f"*/{_MODEL_FILE}"))
    numbered = {
        number: folder
        for folder in folders
        if (number := versions.number_of(os.path.basename(folder))) is not None
    }
    if not numbered:
        received = "another folder" if os.path.isdir(path) or places.inside(path) else "none"
        raise NoEncoderError(
            f"{path}: expected the folder of an encoder, with {_MODEL_FILE}, or of numbered ones, "
            f"received {received}"
        )
    return numbered[max(numbered)]


class Encoder:
    """Encodes sequences by a pushed encoder; several threads may call it at once.

    Embeddings are computed by OpenVINO, as `ragline encode` does, where the encoder has that form;
    errors, and the embeddings beside them, by TensorFlow. Each is loaded when it is first needed.

    Attributes:
      facts: the facts that the encoder states.
    """

    def __init__(self, path: Place, *, bfloat16: bool = False, owner: object = None) -> None:
        """Read and check an encoder.

        Args:
          path: the folder of an encoder, or of numbered encoders, of which the newest is taken;
            or its URI in a store.
          bfloat16: whether OpenVINO computes the recurrence in bfloat16, where the processor has
            it; docs/performance.md has its speed and its error.
          owner: the owner of a temporary folder, which is to last as long as the encoder.

        Raises:
          NoEncoderError: there is none, or it does not state its facts.
          DamagedModelError: a file of it is not what was pushed.
        """
        self._owner = owner
        self._bfloat16 = bfloat16
        self._loading = threading.Lock()
        self._signatures: Mapping[str, Any] | None = None
        self._fast: FastEncoder | None = None
        self._has_fast = True
        self.facts = Facts.read(path)
        with places.fetched(self.facts.path) as folder:
            versions.check(folder, self.facts.path)

    def __repr__(self) -> str:
        columns = self.facts.columns
        read = f"{len(columns.features)} features"
        if columns.categories:
            read += f", {len(columns.categories)} categories"
        return f"<Encoder {self.facts.version}: {read} -> E = {self.facts.embedding_size}>"

    def __getstate__(self) -> dict[str, Any]:
        """Return the files of the model: a pickle of them needs no folder."""
        files = places.inside(self.facts.path, "**")
        start = len(self.facts.path) + 1
        content = {file[start:]: places.read(file) for file in files}
        return {"version": self.facts.version, "files": content, "bfloat16": self._bfloat16}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the model from a temporary folder, which is there as long as the encoder."""
        folder = tempfile.TemporaryDirectory(prefix="ragline-")
        path = os.path.join(folder.name, state["version"])
        for name, content in state["files"].items():
            write_bytes(os.path.join(path, name), content)
        Encoder.__init__(self, path, bfloat16=state["bfloat16"], owner=folder)

    def encode(
        self,
        sequences: Any,
        *,
        id: str | None = None,
        time: str | None = None,
        lengths: Any = None,
        words: Mapping[str, Any] | None = None,
    ) -> np.ndarray:
        """Return the embeddings, float32 [N, E], of N sequences of raw values; see `score`."""
        names = self.facts.columns.names
        steps = tables.read(sequences, names=names, id=id, time=time, lengths=lengths, words=words)
        return self.encode_flat(steps.sequences(self.facts.columns))

    def score(
        self,
        sequences: Any,
        *,
        id: str | None = None,
        time: str | None = None,
        lengths: Any = None,
        words: Mapping[str, Any] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the embedding and the reconstruction error of each sequence, in their order.

        Args:
          sequences: a pandas, Polars or Arrow table with a row a step, whose columns are matched by
            name; a list, or a dict by id, of arrays [T, F], the features in the order of `facts`,
            or of such tables; or an array [N, T, F]. T >= 1; NaN = missing.
          id: the column of the table that names a row's sequence; the order is that of their first
            rows.
          time: the column of the table by which the steps are sorted; None keeps their order.
          lengths: int [N], the valid steps of an array [N, T, F].
          words: beside arrays, category -> the N sequences' words [T]; "" = missing.

        Returns:
          float32 [N, E], and float32 [N]: the masked mean squared error, standardised units.

        Raises:
          InputError: the sequences are not what the encoder reads; a ValueError, too.
        """
        names = self.facts.columns.names
        steps = tables.read(sequences, names=names, id=id, time=time, lengths=lengths, words=words)
        return self.score_flat(steps.sequences(self.facts.columns))

    def score_flat(self, sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Return what `score` does, for sequences in flat columns, categories among them.

        Raises:
          NoEncoderError: it lacks the signatures of an encoder.
          UsageError: TensorFlow is not installed.
        """
        outputs = self._call(SCORE, sequences)
        return outputs[EMBEDDING], outputs[RECONSTRUCTION_ERROR]

    def encode_flat(self, sequences: Sequences) -> np.ndarray:
        """Return the embeddings, float32 [N, E], of sequences in flat columns, without a decoder.

        Raises:
          NoEncoderError, UsageError: see `score_flat`; of an encoder that OpenVINO does not serve.
        """
        fast = self.fast_form()
        return fast.encode_flat(sequences) if fast else self._call(ENCODE, sequences)[EMBEDDING]

    def fast_form(self) -> FastEncoder | None:
        """Return its form in OpenVINO, loaded at the first call; None if it has none."""
        with self._loading:
            if self._fast is None and self._has_fast:
                with places.fetched(self.facts.path) as folder:
                    stated, threads = facts.read(folder), len(os.sched_getaffinity(0))
                    self._fast = fast_form(
                        pathlib.Path(folder), stated, threads, bfloat16=self._bfloat16
                    )
                self._has_fast = self._fast is not None
        return self._fast

    def _call(self, signature: str, sequences: Sequences) -> dict[str, np.ndarray]:
        """Return the outputs of a signature, [N, ...]."""
        with self._loading:
            if self._signatures is None:
                self._signatures = self._load()
        import tensorflow as tf

        outputs = {
            EMBEDDING: np.zeros((len(sequences), self.facts.embedding_size), np.float32),
            RECONSTRUCTION_ERROR: np.zeros(len(sequences), np.float32),
        }
        for batch in batches(sequences):
            inputs = {VALUES: batch.values, LENGTH: batch.length, **batch.tokens}
            tensors = {key: tf.constant(array) for key, array in inputs.items()}
            for name, tensor in self._signatures[signature](**tensors).items():
                outputs[name][batch.places] = tensor.numpy()
        return outputs

    def _load(self) -> Mapping[str, Any]:
        try:
            with quiet.tensorflow():
                import tensorflow as tf
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{self.facts.path}: expected TensorFlow, which computes the errors; this "
                "installation is one for embeddings alone (docs/install.md)"
            ) from error
        with places.fetched(self.facts.path) as folder:
            self._loaded = tf.saved_model.load(folder)  # Kept, as its signatures do not keep it.
        if missing := {ENCODE, SCORE}.difference(self._loaded.signatures):
            raise NoEncoderError(
                f"{self.facts.path}: expected a signature {min(missing)!r}, "
                f"received {sorted(self._loaded.signatures)}"
            )
        signatures: Mapping[str, Any] = self._loaded.signatures
        return signatures
