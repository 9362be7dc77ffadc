"""Load a pushed encoder: its facts, from encoder.json, and its signatures `encode` and `score`.

Only `Encoder` itself needs TensorFlow, and imports it when one is made.
"""

import os
from collections.abc import Sequence as Collection
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ragline.components.contract.columns import LENGTH, VALUES, Columns
from ragline.components.contract.signatures import EMBEDDING, ENCODE, RECONSTRUCTION_ERROR, SCORE
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.serving import facts, versions
from ragline.components.serving.batches import Sequences, batches
from ragline.components.serving.facts import FeatureFacts, InputFacts, NoEncoderError

_MODEL_FILE = "saved_model.pb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts that an encoder states in its encoder.json.

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
    """A pushed encoder, loaded.

    Attributes:
      facts: the facts that the encoder states.
    """

    def __init__(self, path: Place) -> None:
        """Load the encoder, which takes seconds.

        Args:
          path: the folder of an encoder, or of numbered encoders, of which the newest is taken;
            or its URI in a store.

        Raises:
          NoEncoderError: there is none, or it does not state its facts.
          DamagedModelError: a file of it is not what was pushed.
        """
        import tensorflow as tf

        self.facts = Facts.read(path)
        with places.fetched(self.facts.path) as folder:
            versions.check(folder, self.facts.path)
            self._loaded = tf.saved_model.load(folder)
        if missing := {ENCODE, SCORE}.difference(self._loaded.signatures):
            raise NoEncoderError(
                f"{self.facts.path}: expected a signature {min(missing)!r}, "
                f"received {sorted(self._loaded.signatures)}"
            )

    def encode(self, sequences: Collection[Any]) -> np.ndarray:
        """Return the embeddings, float32 [N, E], of N sequences [T, F], raw values, NaN = missing.

        Raises:
          ValueError: see `score`.
        """
        return self.score(sequences)[0]

    def score(self, sequences: Collection[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return the embedding and the reconstruction error of each sequence.

        Args:
          sequences: N arrays [T, F] of raw values, the features in the order of `facts`; T >= 1.

        Returns:
          float32 [N, E], and float32 [N]: the masked mean squared error, standardised units.

        Raises:
          ValueError: a sequence of another shape, or the encoder also reads categories.
        """
        if self.facts.columns.categories:
            names = ", ".join(category.name for category in self.facts.columns.categories)
            raise ValueError(
                f"the encoder also reads {names}: expected its columns, see score_flat"
            )
        width = len(self.facts.columns.features)
        arrays = [np.asarray(sequence, np.float32) for sequence in sequences]
        for place, array in enumerate(arrays):
            if array.ndim != 2 or not len(array) or array.shape[1] != width:
                raise ValueError(
                    f"sequence {place}: expected [T, {width}] with T >= 1, received "
                    f"{list(array.shape)}"
                )
        flat = np.concatenate([np.zeros((0, width), np.float32), *arrays])
        length = np.array([len(array) for array in arrays], np.int64)
        return self.score_flat(Sequences(values=flat, length=length, tokens={}))

    def score_flat(self, sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Return what `score` does, for sequences in flat columns, categories among them.

        Several threads may call it at once.
        """
        outputs = self._call(SCORE, sequences)
        return outputs[EMBEDDING], outputs[RECONSTRUCTION_ERROR]

    def encode_flat(self, sequences: Sequences) -> np.ndarray:
        """Return the embeddings, float32 [N, E], of sequences in flat columns, without a decoder.

        Several threads may call it at once.
        """
        return self._call(ENCODE, sequences)[EMBEDDING]

    def _call(self, signature: str, sequences: Sequences) -> dict[str, np.ndarray]:
        """Return the outputs of a signature, [N, ...]."""
        import tensorflow as tf

        outputs = {
            EMBEDDING: np.zeros((len(sequences), self.facts.embedding_size), np.float32),
            RECONSTRUCTION_ERROR: np.zeros(len(sequences), np.float32),
        }
        call = self._loaded.signatures[signature]
        for batch in batches(sequences):
            inputs = {VALUES: batch.values, LENGTH: batch.length, **batch.tokens}
            received = call(**{key: tf.constant(array) for key, array in inputs.items()})
            for name, tensor in received.items():
                outputs[name][batch.places] = tensor.numpy()
        return outputs
