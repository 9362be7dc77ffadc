"""The example of test_masked_loss.py, small enough for a pencil.

Three sequences of 4, 2 and 5 steps with 2 features; most tests take the first two, 2 x 5 steps of
which 6 are valid. The model is `Dense(1)` with every weight 1, so that an output is a + b + 1:

    sequence  step (a, b)                        output      label       squared error   weight
    0         (1,0) (0,2) (1,1) (3,0)            2 3 3 4     1 3 5 4     1 0 4 0         1 2 1 0
    1         (2,1) (0,1)                        4 2         1 0         9 4             3 1
    2         (1,1) (2,0) (0,1) (0,3) (1,2)      3 3 2 4 4   3 3 3 4 3   0 0 1 0 1       1 1 1 1 1
    padding   (0,0)                              1           3           4               1

The label and the weight of the padding are not 0, so that whatever takes it in is seen to do so.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import keras
import numpy as np
from numpy.typing import ArrayLike

STEPS = 5
REPORTS = ("evaluate", "test_on_batch", "fit", "train_on_batch")
_INPUTS = (
    [[1, 0], [0, 2], [1, 1], [3, 0]],
    [[2, 1], [0, 1]],
    [[1, 1], [2, 0], [0, 1], [0, 3], [1, 2]],
)
_LABELS = ([1, 3, 5, 4], [1, 0], [3, 3, 3, 4, 3])
_WEIGHTS = ([1, 2, 1, 0], [3, 1], [1, 1, 1, 1, 1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Padded sequences, all float64 but the mask.

    Attributes:
      x: [B, T, 2].
      y: [B, T, 1].
      weight: [B, T].
      valid: bool [B, T], True where t < length.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    valid: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Output - label, [B, T], with the padding still there."""
        return self.x.sum(axis=-1) + 1 - self.y[..., 0]

    @property
    def squares(self) -> np.ndarray:
        """Squared errors, [B, T], with the padding still there."""
        return np.square(self.errors)


def batch(
    *sequences: int, steps: int = STEPS, fill: float = 0.0, label: float = 3.0, weight: float = 1.0
) -> Batch:
    """Some of the three sequences, padded or cut to `steps`, with padding of any content."""
    lengths = np.array([len(_LABELS[index]) for index in sequences])
    return Batch(
        x=_padded([_INPUTS[index] for index in sequences], steps, fill),
        y=_padded([_LABELS[index] for index in sequences], steps, label)[..., np.newaxis],
        weight=_padded([_WEIGHTS[index] for index in sequences], steps, weight),
        valid=np.arange(steps) < lengths[:, np.newaxis],
    )


def _padded(rows: Iterable[ArrayLike], steps: int, fill: float) -> np.ndarray:
    arrays = [np.asarray(row, np.float64) for row in rows]
    padded = np.full((len(arrays), steps, *arrays[0].shape[1:]), fill)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array[:steps]
    return padded


def dense_model(
    *,
    reduction: str | None = "sum_over_batch_size",
    masking: bool = True,
    mask_value: float = 0.0,
    gradient_accumulation_steps: int | None = None,
    metrics: Sequence[str] | None = None,
    weighted_metrics: Sequence[str] | None = None,
) -> keras.Model:
    """`Masking -> Dense(1)`, or `Dense(1)` alone, with every weight 1; SGD with a step of 1.

    A report of `fit` or `train_on_batch` on one batch is from before the update.
    """
    dense = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    layers = [keras.layers.Masking(mask_value), dense] if masking else [dense]
    model = keras.Sequential([keras.Input((None, 2)), *layers])
    model.compile(
        keras.optimizers.SGD(1.0, gradient_accumulation_steps=gradient_accumulation_steps),
        loss=keras.losses.MeanSquaredError(reduction=reduction),
        metrics=metrics,
        weighted_metrics=weighted_metrics,
    )
    return model


def reports(
    *, reduction: str | None, masking: bool, data: Batch, weight: np.ndarray | None
) -> dict[str, float]:
    """The loss of one batch by every way in which a trainer reports it, from the same weights."""
    model = dense_model(reduction=reduction, masking=masking)
    weights = model.get_weights()
    arguments = {"x": data.x, "y": data.y, "sample_weight": weight}
    tested = model.evaluate(**arguments, verbose=0), model.test_on_batch(**arguments)
    fitted = model.fit(**arguments, verbose=0).history["loss"][0]
    model.set_weights(weights)
    return dict(zip(REPORTS, (*tested, fitted, model.train_on_batch(**arguments)), strict=True))


def called_directly(
    *, reduction: str | None, masking: bool, data: Batch, weight: np.ndarray | None
) -> np.ndarray:
    """What the loss object returns for the model's outputs, which carry the mask, if any."""
    model = dense_model(reduction=reduction, masking=masking)
    return np.asarray(model.loss(data.y, model(data.x), weight))


def update(model: keras.Model, **arguments: object) -> np.ndarray:
    """How far one `fit` moves the three weights [kernel, kernel, bias]: minus the gradient."""
    before = _flat(model)
    model.fit(**arguments, shuffle=False, verbose=0)
    return _flat(model) - before


def gradient(data: Batch) -> np.ndarray:
    """Of the masked mean by [kernel, kernel, bias]: the mean of 2 e (a, b, 1) over valid steps."""
    inputs, errors = data.x[data.valid], data.errors[data.valid]
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    return 2 * (errors[:, np.newaxis] * inputs).mean(axis=0)


def _flat(model: keras.Model) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def tracked(groups: list[list[int]]) -> float:
    """A mean over valid steps a batch, then a mean over batches, each by its number of rows."""
    means = [batch(*group).squares[batch(*group).valid].mean() for group in groups]
    return float(np.average(means, weights=[len(group) for group in groups]))


def two_tasks(data: Batch, batch_size: int) -> dict[str, float]:
    """Reports of two heads on the same labels; those of task b are missing where padded."""
    inputs = keras.Input((None, 2))
    ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
    heads = [keras.layers.Dense(1, name=name, **ones)(inputs) for name in "ab"]
    model = keras.Model(inputs, heads)
    model.compile("sgd", loss="mse", weighted_metrics=[["mse"], ["mse"]])
    weights = [np.ones(data.valid.shape), data.valid.astype(np.float64)]
    return model.evaluate(
        data.x,
        [data.y, data.y],
        sample_weight=weights,
        batch_size=batch_size,
        verbose=0,
        return_dict=True,
    )


class OwnLengths(keras.utils.PyDataset):
    """Batches that are padded each to its own longest sequence, as bucketing does."""

    def __init__(self, groups: list[list[int]]) -> None:
        super().__init__()
        longest = [int(batch(*group).valid.sum(axis=1).max()) for group in groups]
        self.batches = [
            batch(*group, steps=steps) for group, steps in zip(groups, longest, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        data = self.batches[index]
        return data.x, data.y, data.valid.astype(np.float64)


def autoencoder() -> keras.Model:
    """`Masking -> LSTM -> RepeatVector -> LSTM -> Dense`, as in the tutorials."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((STEPS, 2)),
            keras.layers.Masking(),
            keras.layers.LSTM(3),
            keras.layers.RepeatVector(STEPS),
            keras.layers.LSTM(3, return_sequences=True),
            keras.layers.Dense(2),
        ]
    )
    model.compile("sgd", loss="mse")
    return model


def masked_lstm() -> keras.Model:
    """[x, mask] -> LSTM -> Dense(1), the mask given to the LSTM by hand."""
    keras.utils.set_random_seed(0)
    x, mask = keras.Input((None, 2)), keras.Input((None,), dtype="bool")
    states = keras.layers.LSTM(3, return_sequences=True)(x, mask=mask)
    model = keras.Model([x, mask], keras.layers.Dense(1)(states))
    model.compile("sgd", loss="mse")
    return model
