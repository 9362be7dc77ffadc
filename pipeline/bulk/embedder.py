"""Load an encoder for a job: its fast form where it has one, else its SavedModel.

The decoder, which takes as long as the encoder, is computed where errors are wanted alone, by the
SavedModel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ragline.components.serving.batches import Sequences
from ragline.components.serving.encoder import Encoder

OPENVINO, TENSORFLOW = "OpenVINO", "TensorFlow"


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)  # Beam keeps it by one.
class Embedder:
    """An encoder, loaded; several threads may call it at once.

    Attributes:
      runtime: the name of what computes.
      embed: N sequences -> embeddings, float32 [N, E], and reconstruction errors, float32 [N], or
        None where they are not wanted.
    """

    runtime: str
    embed: Callable[[Sequences], tuple[np.ndarray, np.ndarray | None]]


def load(path: str, *, errors: bool) -> Embedder:
    """Load the encoder in a folder, or at a URI.

    Raises:
      DamagedModelError: a file of it is not what was pushed.
    """
    encoder = Encoder(path)
    if not errors and encoder.fast_form():
        return Embedder(
            runtime=OPENVINO, embed=lambda sequences: (encoder.encode_flat(sequences), None)
        )
    from ragline.components.runtime import cores  # Late: it imports TensorFlow.

    cores.prepare()
    if errors:
        return Embedder(runtime=TENSORFLOW, embed=encoder.score_flat)
    return Embedder(
        runtime=TENSORFLOW, embed=lambda sequences: (encoder.encode_flat(sequences), None)
    )
