"""Sums of sequences as `evaluate` returns them, made by NumPy of what they are sums of."""

from dataclasses import dataclass

import numpy as np
import oracle

from ragline.components.contract.signatures import (
    ABSOLUTE,
    FEATURE_SUM,
    FEATURE_VALUES,
    N_FINITE,
    N_SEQUENCES,
    N_STEPS,
    N_VALUES,
    SQUARED,
    error_sum,
)

FEATURES = ("a", "b", "c")


@dataclass(frozen=True, kw_only=True)
class Made:
    """N sequences [T, F], their reconstructions, what was observed, and their ids."""

    values: list[np.ndarray]
    outputs: list[np.ndarray]
    observed: list[np.ndarray]
    ids: list[bytes]

    def predictions(self) -> dict[str, list[np.ndarray]]:
        pairs = list(zip(self.values, self.observed, strict=True))
        return {
            "model": self.outputs,
            "training_mean": [np.zeros(values.shape) for values in self.values],
            "sequence_mean": [oracle.sequence_means(*pair) for pair in pairs],
            "last_value": [oracle.last_values(*pair) for pair in pairs],
        }

    def sums(self) -> dict[str, np.ndarray]:
        """name -> [N] or [N, F]."""
        rows = list(zip(self.values, self.observed, strict=True))
        sums = {
            N_SEQUENCES: np.ones(len(rows)),
            N_STEPS: np.array([len(values) for values, _ in rows], float),
            N_VALUES: np.array([seen.sum() for _, seen in rows], float),
            N_FINITE: np.array([np.isfinite(output).all() for output in self.outputs], float),
            FEATURE_VALUES: np.array([seen.sum(axis=0) for _, seen in rows], float),
            FEATURE_SUM: np.array([np.where(seen, v, 0.0).sum(axis=0) for v, seen in rows]),
        }
        for name, predicted in self.predictions().items():
            errors = [
                np.where(seen, output - values, 0.0)
                for (values, seen), output in zip(rows, predicted, strict=True)
            ]
            sums[error_sum(name, SQUARED)] = np.array([np.square(e).sum(axis=0) for e in errors])
            sums[error_sum(name, ABSOLUTE)] = np.array([np.abs(e).sum() for e in errors])
        return sums

    def take(self, rows) -> "Made":
        return Made(
            values=[self.values[row] for row in rows],
            outputs=[self.outputs[row] for row in rows],
            observed=[self.observed[row] for row in rows],
            ids=[self.ids[row] for row in rows],
        )


def make(seed: int, number: int, *, missing: float = 0.0, constant: bool = False) -> Made:
    """Normal values around means of their own; the last feature constant, if asked."""
    rng = np.random.default_rng(seed)
    shapes = [(length, len(FEATURES)) for length in rng.integers(1, 20, number)]
    values = [rng.normal(np.array([0.0, 0.5, -2.0]), size=shape) for shape in shapes]
    for each in values if constant else ():
        each[:, 2] = 0.375
    return Made(
        values=values,
        outputs=[each + 0.5 * rng.normal(size=each.shape) for each in values],
        observed=[rng.random(shape) >= missing for shape in shapes],
        ids=[f"{seed}-{row}".encode() for row in range(number)],
    )
