"""Build stacks of recurrent layers, for encoders and decoders."""

from collections.abc import Sequence

from ragline.components.train.model.cells import Cell
from ragline.components.train.model.lstm.fused_lstm import LSTM
from ragline.components.train.model.sequence_layers import GRU, SequenceLayer
from ragline.components.train.options import TrainOptions

_LAYERS = {layer.__name__: layer for layer in (LSTM, GRU)}


def stack(
    name: str, cell: Cell, sizes: Sequence[int], options: TrainOptions, portable: bool
) -> list[SequenceLayer]:
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
        layer = _LAYERS[cell.layer](
            options.units,
            return_sequences=True,
            use_cudnn=False if portable else "auto",
            dtype=options.policy,
            name=f"{name}_{index}",
        )
        layer.build((None, None, size))
        layers.append(layer)
    return layers
