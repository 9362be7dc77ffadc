"""Call an exported encoder on raw records."""

import pathlib

import numpy as np
import tensorflow as tf

from ragline.components.contract.signatures import EMBEDDING, EVALUATE, EXAMPLES, SERVING_DEFAULT
from ragline.components.evaluate.baselines.raw_records import RawRecords, batches


class ServedModel:
    """Calls the signatures of an exported encoder."""

    def __init__(self, path: pathlib.Path) -> None:
        """Load the SavedModel.

        Args:
          path: folder of the SavedModel.
        """
        # The whole model is kept: signatures alone do not keep the variables alive.
        self._loaded = tf.saved_model.load(str(path))

    def sums(self, records: RawRecords) -> dict[str, np.ndarray]:
        """Return the sums of every metric by sequence: name -> float64 [N] or [N, F]."""
        return self._call(EVALUATE, records)

    def embed(self, records: RawRecords) -> np.ndarray:
        """Return the embeddings, float32 [N, E]."""
        return self._call(SERVING_DEFAULT, records)[EMBEDDING]

    def _call(self, signature: str, records: RawRecords) -> dict[str, np.ndarray]:
        outputs: dict[str, np.ndarray] = {}
        for rows, serialised in batches(records):
            for name, tensor in self._loaded.signatures[signature](
                **{EXAMPLES: serialised}
            ).items():
                if name not in outputs:
                    shape = (len(records.serialised), *tensor.shape[1:])
                    outputs[name] = np.zeros(shape, tensor.dtype.as_numpy_dtype)
                outputs[name][rows] = tensor.numpy()
        return outputs
