"""What every number is compared with: NumPy, float64, one sequence at a time, no padding at all."""

from collections.abc import Sequence

import numpy as np

from ragline.components.train.options import TrainOptions

Weights = Sequence[np.ndarray]
# Of each category, the token ids of a sequence, [T], and how many ids there are.
Tokens = Sequence[tuple[np.ndarray, int]]
DEFAULTS = TrainOptions()

# error -> its function of the difference.
ERRORS = {
    "squared": np.square,
    "absolute": np.abs,
    "huber": lambda d: np.where(np.abs(d) <= 1.0, np.square(d) / 2.0, np.abs(d) - 0.5),
    "log_cosh": lambda d: np.logaddexp(d, -d) - np.log(2.0),
}


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


def gru(inputs: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
    """Hidden states [T, H] of a GRU over inputs [T, F]; gates in Keras's order z, r, h.

    The reset gate comes after the recurrent product, which has a bias of its own: bias [2, 3 H].
    """
    hidden = np.zeros(recurrent.shape[0])
    states = []
    for step in inputs.astype(np.float64):
        z, r, candidate = np.split(step @ kernel + bias[0], 3)
        own_z, own_r, own_candidate = np.split(hidden @ recurrent + bias[1], 3)
        kept = _sigmoid(z + own_z)
        new = np.tanh(candidate + _sigmoid(r + own_r) * own_candidate)
        hidden = kept * hidden + (1.0 - kept) * new
        states.append(hidden)
    return np.array(states)


def resample(values: np.ndarray, steps: int, observed: np.ndarray | None = None) -> np.ndarray:
    """[T, F] -> [steps, F] by linear interpolation over the observed values of each feature."""
    seen = np.ones(values.shape, bool) if observed is None else observed
    places = np.linspace(0.0, 1.0, len(values)) if len(values) > 1 else np.array([0.5])
    wanted = np.linspace(0.0, 1.0, steps) if steps > 1 else np.array([0.5])
    return np.stack(
        [
            np.interp(wanted, places[there], column[there]) if there.any() else np.zeros(steps)
            for column, there in zip(values.T.astype(np.float64), seen.T, strict=True)
        ],
        axis=1,
    )


def interpolated(values: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """[T, F] with what is missing interpolated between the observed values of each feature."""
    return (
        resample(values, len(values), observed)
        if len(values) > 1
        else np.where(True if observed is None else observed, values, 0.0).astype(np.float64)
    )


def statistics(
    values: np.ndarray,
    observed: np.ndarray | None = None,
    tokens: Tokens = (),
) -> np.ndarray:
    """Statistics of one sequence; train/model/sequence_statistics.py says which."""
    filled, steps = interpolated(values, observed), len(values)
    rows = [each(filled, axis=0) for each in (np.mean, np.std, np.min, np.max)]
    unit = (filled - rows[0]) / (rows[1] + 1e-2)
    nothing = np.zeros(filled.shape[1])
    for lag in (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32):
        rows.append((unit[lag:] * unit[:-lag]).mean(axis=0) if steps > lag else nothing)
    for lag in (1, 2, 4, 8):
        bend = filled[2 * lag :] - 2.0 * filled[lag : steps - lag] + filled[: -2 * lag]
        rows.append(np.abs(bend).mean(axis=0) if steps > 2 * lag else nothing)
    rows.append(nothing + 1.0 if observed is None else observed.mean(axis=0))
    rows.append(np.log([steps]))
    for ids, size in tokens:
        frequent = range(min(size, 10))
        rows.append(np.array([(ids == token).mean() for token in frequent]))
        followed = [
            ((ids[:-1] == first) & (ids[1:] == second)).sum()
            for first in frequent
            for second in frequent
        ]
        rows.append(np.array(followed) / max(steps - 1, 1))
    return np.concatenate(rows)


def standardised_statistics(
    described: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """z of statistics [..., P]: at most 5 from 0, and 0 where the scale is."""
    z = np.divide(described - mean, scale, out=np.zeros_like(described), where=scale > 0)
    return np.clip(z, -5.0, 5.0)


def encode(
    values: np.ndarray,
    weights: Weights,
    options: TrainOptions = DEFAULTS,
    observed: np.ndarray | None = None,
    tokens: Tokens = (),
) -> np.ndarray:
    """The embedding [E] of one sequence [T, F], by the weights in the model's own order.

    Args:
      values: 0 where missing; embedded categories may stand behind the features.
      weights: without those of categories and heads.
      options: the shape.
      observed: [T, F], False where missing; None if nothing is.
      tokens: the token ids of each category.
    """
    described, linear, (forwards, backwards, _), (code, _) = _layers(weights, options)
    run = _CELLS[options.encoder]
    states = values
    for index, layer in enumerate(forwards):
        forward = run(states, *layer)
        last = forward[-1]
        if backwards:
            backward = run(states[::-1], *backwards[index])
            last = np.concatenate([last, backward[-1]])
            forward = np.concatenate([forward, backward[::-1]], axis=1)
        states = forward
    embedding = last @ code[0] + code[1]
    if linear:
        kernel, bias = linear[0]
        features = linear[1][0].shape[1] // options.linear_steps
        grid = resample(values[:, :features], options.linear_steps, observed).ravel()
        z = standardised_statistics(
            statistics(values[:, :features], observed, tokens), *described[0]
        )
        embedding = embedding + np.concatenate([grid, z]) @ kernel + bias
    return embedding


def reconstruct(
    values: np.ndarray,
    weights: Weights,
    options: TrainOptions = DEFAULTS,
    observed: np.ndarray | None = None,
    tokens: Tokens = (),
) -> np.ndarray:
    """The reconstruction [T, F] of one sequence; see `encode`."""
    states, linear = decode(values, weights, options, observed, tokens)
    kernel, bias = _layers(weights, options)[3][1]
    return states @ kernel + bias + linear


def decode(
    values: np.ndarray,
    weights: Weights,
    options: TrainOptions = DEFAULTS,
    observed: np.ndarray | None = None,
    tokens: Tokens = (),
) -> tuple[np.ndarray, np.ndarray | float]:
    """The states [T, H] of the decoder, and the linear path's reconstruction [T, F], or 0.0."""
    _, maps, (*_, decoder), _ = _layers(weights, options)
    code = encode(values, weights, options, observed, tokens)
    states, linear = np.repeat(code[np.newaxis], len(values), axis=0), 0.0
    if maps:
        kernel, bias = maps[1]
        grid = (code @ kernel + bias).reshape(options.linear_steps, -1)
        linear = resample(grid, len(values))
        states = np.concatenate([states, linear], axis=1)
    if options.decoder == "teacher":
        before = np.concatenate([np.zeros((1, values.shape[1])), values[:-1]])
        states = np.concatenate([states, before], axis=1)
    for layer in decoder:
        states = _CELLS[options.encoder](states, *layer)
    return states, linear


def mean_error(
    sequences: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    observed: Sequence[np.ndarray] | None = None,
    *,
    error: str = "squared",
    average: str = "value",
) -> float:
    """The mean over all sequences, each [T, F], in which values, steps, ... count alike.

    A step, a sequence or a feature has the mean of its observed values; without one it does not
    count.
    """
    means = []
    if average == "feature":
        rows = np.concatenate([*outputs]).astype(np.float64) - np.concatenate([*sequences])
        errors, seen = ERRORS[error](rows), np.ones(rows.shape, bool)
        seen = seen if observed is None else np.concatenate([*observed])
        of_features = zip(errors.T, seen.T, strict=True)
        return float(np.mean([each[there].mean() for each, there in of_features if there.any()]))
    for index, (values, output) in enumerate(zip(sequences, outputs, strict=True)):
        errors = ERRORS[error](output.astype(np.float64) - values.astype(np.float64))
        seen = np.ones(values.shape, bool) if observed is None else observed[index]
        groups = {
            "value": errors[seen][:, np.newaxis],
            "step": [step[there] for step, there in zip(errors, seen, strict=True)],
            "sequence": [errors[seen]],
        }[average]
        means += [group.mean() for group in groups if len(group)]
    return float(np.mean(means))


def slices_error(first: np.ndarray, second: np.ndarray) -> float:
    """The error of the term `slices`, of two embeddings [B, E] of each sequence's slices."""
    error = np.square(first - second).mean()
    for embeddings in (first, second):
        covariance = np.cov(embeddings.astype(np.float64), rowvar=False)
        variances = np.diag(covariance)
        alike = np.square(covariance).sum() - np.square(variances).sum()
        error += np.maximum(0.0, 1.0 - np.sqrt(variances + 1e-4)).mean() / 2
        error += alike / len(variances) / 25 / 2
    return float(error)


def mean_squared_error(
    sequences: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    observed: Sequence[np.ndarray] | None = None,
) -> float:
    """The masked mean over all observed values of all sequences, each [T, F], without padding."""
    return mean_error(sequences, outputs, observed)


def reconstruction_metrics(
    sequences: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    observed: Sequence[np.ndarray] | None = None,
) -> dict[str, float]:
    """Every metric of a reconstruction, each sequence [T, F], by its definition."""
    values, output = (np.concatenate(rows).astype(np.float64) for rows in (sequences, outputs))
    seen = np.ones(values.shape, bool) if observed is None else np.concatenate(observed)
    difference = (output - values)[seen]
    shares = []
    for x, y, there in zip(values.T, output.T, seen.T, strict=True):
        deviation = np.square(x[there] - x[there].mean()).sum() if there.any() else 0.0
        if there.any() and x[there].min() < x[there].max():
            shares.append(np.square(y[there] - x[there]).sum() / deviation)
    mse = np.square(difference).mean()
    return {
        "masked_mse": float(mse),
        "masked_mae": float(np.abs(difference).mean()),
        "masked_rmse": float(np.sqrt(mse)),
        "normalised_mse": float(np.mean(shares)),
        "explained_variance": float(1.0 - mse / np.square(values[seen]).mean()),
    }


def last_values(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """At each step of one sequence [T, F], the last observed value before it, 0 at first."""
    carried, last = np.zeros(values.shape), np.zeros(values.shape[1])
    for step in range(len(values)):
        carried[step] = last
        last = np.where(observed[step], values[step], last)
    return carried


def sequence_means(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Each feature's mean over the observed values of one sequence [T, F], at each step."""
    means = [
        column[seen].mean() if seen.any() else 0.0
        for column, seen in zip(values.T, observed.T, strict=True)
    ]
    return np.broadcast_to(means, values.shape)


def cross_entropy(logits: np.ndarray, label: int) -> float:
    """Of one class, by its index, under logits [C]."""
    logits = logits.astype(np.float64)
    return float(np.logaddexp.reduce(logits) - logits[label])


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


_CELLS = {"lstm": lstm, "gru": gru}


def _layers(weights: Weights, options: TrainOptions):
    """The (mean, scale) of the statistics, and the linear path's two (kernel, bias), or nothing;
    (encoder, backward, decoder), each a list of (kernel, recurrent, bias); and (code, dense).
    """
    rest = list(weights)

    def take(layers: int, arrays: int) -> list[Weights]:
        taken = [rest[index * arrays : (index + 1) * arrays] for index in range(layers)]
        del rest[: layers * arrays]
        return taken

    described = take(1 if options.linear_steps else 0, 2)
    linear = take(2 if options.linear_steps else 0, 2)
    encoder = take(options.layers, 3)
    backward = take(options.layers if options.bidirectional else 0, 3)
    [code] = take(1, 2)
    decoder = take(options.layers, 3)
    [dense] = take(1, 2)
    return described, linear, (encoder, backward, decoder), (code, dense)
