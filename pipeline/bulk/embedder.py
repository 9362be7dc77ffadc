"""Load an encoder for a job: its fast form where it has one, else its SavedModel.

The decoder, which takes as long as the encoder, is computed where errors are wanted alone, by the
SavedModel.
"""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ragline.components.files import places
from ragline.components.serving import facts, versions
from ragline.components.serving.batches import Sequences
from ragline.components.serving.encoder import Encoder
from ragline.components.serving.fast.fast_encoder import fast_form

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


def load(path: str, *, errors: bool, threads: int) -> Embedder:
    """Load the encoder in a folder, or at a URI, for so many threads at a time.

    Raises:
      DamagedModelError: a file of it is not what was pushed.
    """
    if not errors:
        with places.fetched(path) as folder:
            versions.check(folder, path)
            fast = fast_form(pathlib.Path(folder), facts.read(folder), threads)
        if fast is not None:
            return Embedder(
                runtime=OPENVINO, embed=lambda sequences: (fast.encode_flat(sequences), None)
            )
    from ragline.components.runtime import cores  # Late: it imports TensorFlow.

    cores.prepare()
    saved = Encoder(path)
    if errors:
        return Embedder(runtime=TENSORFLOW, embed=saved.score_flat)
    return Embedder(
        runtime=TENSORFLOW, embed=lambda sequences: (saved.encode_flat(sequences), None)
    )
