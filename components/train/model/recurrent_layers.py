"""Build stacks of recurrent layers, for encoders and decoders."""

from collections.abc import Sequence

import keras

from ragline.components.train.model.cells import Cell
from ragline.components.train.options import TrainOptions


def stack(
    name: str, cell: Cell, sizes: Sequence[int], options: TrainOptions, portable: bool
) -> list[keras.layers.Layer]:
    """Build recurrent layers, one on the other.

    Args:
      name: the first part of their names.
      cell: their kind.
      sizes: the numbers of a step that each reads.
      options: units and precision.
      portable: whether they are for an exported graph. The choice of cuDNN is made when a function
        is traced: a model exported on a GPU machine would hold CudnnRNN for ever.
    """
    layers = []
    for index, size in enumerate(sizes):
        layer = getattr(keras.layers, cell.layer)(
            options.units,
            return_sequences=True,
            use_cudnn=False if portable else "auto",
            dtype=options.policy,
            name=f"{name}_{index}",
        )
        layer.build((None, None, size))
        layers.append(layer)
    return layers
