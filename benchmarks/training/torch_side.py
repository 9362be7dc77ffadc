"""Run PyTorch's side of the training benchmark.

    python -m benchmarks.training.torch_side padded|packed|bfloat16

Runs in an environment that has PyTorch and NumPy alone; of ragline it imports the benchmark's data.
On a GPU, where PyTorch sees one. `bfloat16` is the padded one under autocast.
The second bias of PyTorch's LSTM is 0 and not trained, so that there are as many parameters.
"""

import pathlib
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.training import answers
from benchmarks.training.data import (
    CLIP_NORM,
    FEATURES,
    LEARNING_RATE,
    batches_of,
    case_of,
    weights_of,
)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Autoencoder(nn.Module):
    """LSTM -> code -> the code at every step -> LSTM -> linear."""

    def __init__(self, units: int, packed: bool) -> None:
        super().__init__()
        self._packed = packed
        self.encoder = nn.LSTM(FEATURES, units, batch_first=True)
        self.code = nn.Linear(units, units)
        self.decoder = nn.LSTM(units, units, batch_first=True)
        self.reconstruction = nn.Linear(units, FEATURES)

    def start(self, folder: pathlib.Path) -> None:
        """Takes the first weights; Keras's gates i f c o are PyTorch's i f g o."""
        with torch.no_grad():
            for name, (kernel, *others) in weights_of(folder).items():
                layer, bias = getattr(self, name), torch.tensor(others[-1])
                if isinstance(layer, nn.Linear):
                    layer.weight.copy_(torch.tensor(kernel.T))
                    layer.bias.copy_(bias)
                    continue
                layer.weight_ih_l0.copy_(torch.tensor(kernel.T))
                layer.weight_hh_l0.copy_(torch.tensor(others[0].T))
                layer.bias_ih_l0.copy_(bias)
                layer.bias_hh_l0.zero_()
                layer.bias_hh_l0.requires_grad_(False)

    def encode(self, values: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """[B, T, F] -> [B, E]."""
        if self._packed:
            packed = pack_padded_sequence(values, length, True, enforce_sorted=False)
            last = self.encoder(packed)[1][0][0]
        else:
            last = self.encoder(values)[0][torch.arange(len(length), device=DEVICE), length - 1]
        return self.code(last)

    def loss(self, values: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """The masked mean of squared errors."""
        repeated = self.encode(values, length)[:, None].expand(-1, values.shape[1], -1)
        if self._packed:
            packed, targets = (
                pack_padded_sequence(one, length, True, enforce_sorted=False)
                for one in (repeated, values)
            )
            outputs = self.reconstruction(self.decoder(packed)[0].data)
            return torch.square(outputs - targets.data).mean()
        outputs = self.reconstruction(self.decoder(repeated)[0])
        valid = torch.arange(values.shape[1], device=DEVICE)[None] < length[:, None]
        return torch.square(outputs - values)[valid].mean()


class _Side:
    def __init__(self, folder: pathlib.Path, kind: str) -> None:
        self._folder, self._packed = folder, kind == "packed"
        self._autocast = torch.autocast(DEVICE, torch.bfloat16, enabled=kind == "bfloat16")
        self._batches = [
            tuple(torch.tensor(array, device=DEVICE) for array in batch)
            for batch in batches_of(folder)
        ]
        self._start()

    def _start(self) -> None:
        self._model = Autoencoder(case_of(self._folder)["units"], self._packed)
        self._model.start(self._folder)
        self._model.to(DEVICE)
        self._trained = [one for one in self._model.parameters() if one.requires_grad]
        self._optimizer = torch.optim.Adam(self._trained, LEARNING_RATE, eps=1e-7)

    def losses(self) -> list[float]:
        """Then goes on with as many threads as are faster on the first batches."""
        losses = [self._update(*batch) for batch in self._batches]
        taken = {}
        for threads in (1, torch.get_num_threads()):
            torch.set_num_threads(threads)
            started = time.perf_counter()
            for batch in self._batches[:3]:
                self._update(*batch)
            taken[threads] = time.perf_counter() - started
        torch.set_num_threads(min(taken, key=lambda threads: taken[threads]))
        return losses

    def _update(self, values: torch.Tensor, length: torch.Tensor) -> float:
        self._optimizer.zero_grad()
        with self._autocast:
            loss = self._model.loss(values, length)
        loss.backward()
        clip_grad_norm_(self._trained, CLIP_NORM)
        self._optimizer.step()
        return float(loss)

    def _train(self) -> int:
        for batch in self._batches:
            self._update(*batch)
        return sum(int(length.sum()) for _, length in self._batches)

    def _encode(self) -> int:
        with torch.inference_mode():
            for batch in self._batches:
                self._model.encode(*batch)
        return sum(len(length) for _, length in self._batches)

    def passes(self) -> dict[str, Callable[[], int]]:
        """Training and encoding."""
        return {"train": self._train, "encode": self._encode}


def main(kind: str) -> None:
    """Answers as the padded or the packed one."""
    cores = torch.get_num_threads()

    def load(folder: pathlib.Path) -> _Side:
        torch.set_num_threads(cores)
        return _Side(folder, kind)

    answers.answer(load)


if __name__ == "__main__":
    main(*sys.argv[1:])
