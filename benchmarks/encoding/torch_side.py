"""Run PyTorch's side: `python -m benchmarks.encoding.torch_side torch CASE OUTPUT THREADS`.

The loop that one writes by hand: sorted by length, padded, batches of 64, `nn.LSTM`, the state at
length - 1. Of ragline it imports the benchmark's data, which need NumPy alone.
"""

import pathlib
import sys

import numpy as np
import torch
from torch import nn

from benchmarks.encoding import case as cases
from benchmarks.training.data import FEATURES

_BATCH = 64


def main(_: str, file: str, output: str, threads: str) -> None:
    """Answer as PyTorch."""
    torch.set_num_threads(int(threads))
    case = cases.read(pathlib.Path(file))
    lstm = nn.LSTM(FEATURES, len(case.recurrent), batch_first=True)
    code = nn.Linear(*case.code.shape)
    with torch.no_grad():  # Keras's gates i f c o are PyTorch's i f g o.
        lstm.weight_ih_l0.copy_(torch.tensor(case.kernel.T))
        lstm.weight_hh_l0.copy_(torch.tensor(case.recurrent.T))
        lstm.bias_ih_l0.copy_(torch.tensor(case.bias))
        lstm.bias_hh_l0.zero_()
        code.weight.copy_(torch.tensor(case.code.T))
        code.bias.copy_(torch.tensor(case.code_bias))
    mean, scale = torch.tensor(case.mean), torch.tensor(case.scale)

    @torch.inference_mode()
    def encode() -> np.ndarray:
        embedding = np.zeros((len(case.length), cases.EMBEDDING), np.float32)
        for rows, values, length in cases.batches(case, _BATCH):
            states, _ = lstm((torch.from_numpy(values) - mean) / scale)
            last = states[torch.arange(len(rows)), torch.from_numpy(length) - 1]
            embedding[rows] = code(last).numpy()
        return embedding

    cases.serve(encode, pathlib.Path(output))


if __name__ == "__main__":
    main(*sys.argv[1:])
