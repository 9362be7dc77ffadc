"""One case of the benchmark of runtimes, and how it lies in a file: NumPy alone.

The encoder is an LSTM of H units on standardised values, and a dense map of its last valid state to
E = 32 numbers. A side's answers are its embeddings, in the order of the sequences.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.training import answers
from benchmarks.training.data import FEATURES, sequences

EMBEDDING = 32


class Case(NamedTuple):
    """N sequences one after another, and an encoder, its gates in Keras's order, i f c o."""

    values: np.ndarray
    length: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    code: np.ndarray
    code_bias: np.ndarray


def make(units: int, lengths: str, number: int) -> Case:
    """Draw the weights of an encoder; the sequences are those of the training benchmark."""
    rng = np.random.default_rng(0)
    made = sequences(lengths, number)

    def drawn(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    return Case(
        values=np.concatenate(made),
        length=np.array([len(one) for one in made]),
        mean=drawn(FEATURES),
        scale=1 + np.abs(drawn(FEATURES)),
        kernel=drawn(FEATURES, 4 * units),
        recurrent=drawn(units, 4 * units),
        bias=drawn(4 * units),
        code=drawn(units, EMBEDDING),
        code_bias=drawn(EMBEDDING),
    )


def read(file: pathlib.Path) -> Case:
    """Read a case from its file, an npz of the fields."""
    with np.load(file) as arrays:
        return Case(**arrays)


def batches(case: Case, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (rows [B], values [B, T, F], length [B]), sorted by length and padded, as by hand."""
    sequences_of = np.split(case.values, np.cumsum(case.length)[:-1])
    order = np.argsort(case.length, kind="stable")
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        length = case.length[rows]
        values = np.zeros((len(rows), length.max(), FEATURES), np.float32)
        for place, row in enumerate(rows):
            values[place, : length[place]] = sequences_of[row]
        yield rows, values, length


def serve(encode: Callable[[], np.ndarray], output: pathlib.Path) -> None:
    """Write the embeddings, then answer each line of standard input, seconds, by a line of JSON."""
    np.save(output, encode())
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answers.measured(lambda: len(encode()), float(line))), flush=True)
