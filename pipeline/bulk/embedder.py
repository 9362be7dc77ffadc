"""Load an encoder for a job: its fast form where it has one, else its SavedModel.

The decoder, which takes as long as the encoder, is computed where errors are wanted alone, by the
SavedModel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ragline.components.serving.batches import Sequences
from ragline.components.serving.encoder import Encoder

OPENVINO, BFLOAT16, TENSORFLOW = "OpenVINO", "OpenVINO in bfloat16", "TensorFlow"


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)  # Beam keeps it by one.
class Embedder:
    """Holds what encodes by a loaded encoder; several threads may call it at once.

    Attributes:
      runtime: the name of what computes.
      embed: N sequences -> embeddings, float32 [N, E], and reconstruction errors, float32 [N], or
        None where they are not wanted.
      difference: the largest difference of a golden input's embedding from the SavedModel's; None
        of the SavedModel itself.
    """

    runtime: str
    difference: float | None = None
    embed: Callable[[Sequences], tuple[np.ndarray, np.ndarray | None]]


def load(path: str, *, errors: bool, bfloat16: bool) -> Embedder:
    """Load the encoder in a folder, or at a URI.

    Args:
      path: the folder or the URI.
      errors: whether it computes reconstruction errors.
      bfloat16: whether it computes in bfloat16, if it has a fast form and the processor has it.

    Raises:
      DamagedModelError: a file of it is not what was pushed.
    """
    encoder = Encoder(path, bfloat16=bfloat16)
    if not errors and (fast := encoder.fast_form()):
        return Embedder(
            runtime=BFLOAT16 if fast.bfloat16 else OPENVINO,
            difference=fast.difference,
            embed=lambda sequences: (fast.encode_flat(sequences), None),
        )
    from ragline.components.runtime import cores  # Late: it imports TensorFlow.

    cores.prepare()
    if errors:
        return Embedder(runtime=TENSORFLOW, embed=encoder.score_flat)
    return Embedder(
        runtime=TENSORFLOW, embed=lambda sequences: (encoder.encode_flat(sequences), None)
    )
