"""A SavedModel of ours, asked about raw records."""

import pathlib

import numpy as np
import tensorflow as tf

from ragline.components.contract.signatures import EMBEDDING, EVALUATE, EXAMPLES, SERVING_DEFAULT
from ragline.components.evaluate.baselines.raw_records import Records, batches


class Model:
    """An exported encoder."""

    def __init__(self, path: pathlib.Path) -> None:
        """Loads the SavedModel.

        Args:
          path: its folder.
        """
        # The whole of it is kept: signatures alone do not keep the variables alive.
        self._loaded = tf.saved_model.load(str(path))

    def sums(self, records: Records) -> dict[str, np.ndarray]:
        """What each of N sequences adds to every metric: name -> float64 [N] or [N, F]."""
        return self._ask(EVALUATE, records)

    def embed(self, records: Records) -> np.ndarray:
        """The embeddings, float32 [N, E]."""
        return self._ask(SERVING_DEFAULT, records)[EMBEDDING]

    def _ask(self, signature: str, records: Records) -> dict[str, np.ndarray]:
        answers: dict[str, np.ndarray] = {}
        for rows, serialised in batches(records):
            for name, tensor in self._loaded.signatures[signature](
                **{EXAMPLES: serialised}
            ).items():
                if name not in answers:
                    shape = (len(records.serialised), *tensor.shape[1:])
                    answers[name] = np.zeros(shape, tensor.dtype.as_numpy_dtype)
                answers[name][rows] = tensor.numpy()
        return answers
