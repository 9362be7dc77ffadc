"""What every number is compared with: NumPy, float64, one sequence at a time, no padding at all."""

from collections.abc import Sequence

import numpy as np

Weights = Sequence[np.ndarray]


def lstm(inputs: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
    """Hidden states [T, H] of an LSTM over inputs [T, F]; gates in Keras's order i, f, c, o."""
    units = recurrent.shape[0]
    hidden, cell = np.zeros(units), np.zeros(units)
    states = []
    for step in inputs.astype(np.float64):
        gates = step @ kernel + hidden @ recurrent + bias
        i, f, candidate, o = np.split(gates, 4)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(candidate)
        hidden = _sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


def encode(values: np.ndarray, weights: Weights) -> np.ndarray:
    """The embedding [E] of one sequence [T, F], by the weights in the model's own order."""
    encoder, code = weights[0:3], weights[3:5]
    return lstm(values, *encoder)[-1] @ code[0] + code[1]


def reconstruct(values: np.ndarray, weights: Weights) -> np.ndarray:
    """The reconstruction [T, F] of one sequence."""
    decoder, dense = weights[5:8], weights[8:10]
    repeated = np.repeat(encode(values, weights)[np.newaxis], len(values), axis=0)
    return lstm(repeated, *decoder) @ dense[0] + dense[1]


def mean_squared_error(
    sequences: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    observed: Sequence[np.ndarray] | None = None,
) -> float:
    """The masked mean over all observed values of all sequences, each [T, F], without padding."""
    errors = np.concatenate(
        [
            np.square(output.astype(np.float64) - values.astype(np.float64))[
                np.ones(values.shape, bool) if observed is None else observed[index]
            ]
            for index, (values, output) in enumerate(zip(sequences, outputs, strict=True))
        ]
    )
    return float(errors.mean())


def standardise(train: Sequence[np.ndarray], sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """z-scores by the training split's statistics over valid, observed values; 0 where missing."""
    rows = np.concatenate(train).astype(np.float64)
    mean, std = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    constant = np.nanmax(rows, axis=0) == np.nanmin(rows, axis=0)
    std[constant] = 1.0
    return [
        np.where(np.isnan(values) | constant, 0.0, (values.astype(np.float64) - mean) / std)
        for values in sequences
    ]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))
