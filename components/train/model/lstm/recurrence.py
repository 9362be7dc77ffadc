"""Run the two loops over the steps of an LSTM, as machine code compiled by Numba.

`fused_lstm` has the equations; gates stand in Keras's order, i f c o. TensorFlow's executor takes
1 to 2 us for each operation of a loop, of which a step has a dozen. What makes the machine code
fast, each measured (docs/performance.md):

- Products by `tiles`, whose sums stay in registers; OpenBLAS takes up to 1.9 times as long.
- What LLVM turns into vector instructions: a tanh of products and one quotient alone, and loops
  over few arrays, each from its own start: an index that might be negative is not vectorised.

tanh is Lambert's continued fraction, x / (1 + x^2 / (3 + x^2 / (5 + ...))), cut off after 13 terms,
for |x| up to 9, where it is 1 in float32: within 4e-7 of tanh throughout. sigmoid(x) is
(1 + tanh(x / 2)) / 2.
"""

import functools
import hashlib
import inspect
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numba
import numpy as np

from ragline.components.train.model.lstm import tiles
from ragline.components.train.model.lstm.tiles import COLUMNS, multiply_1, multiply_2, multiply_4

_ALIGNMENT = 64
_OPTIONS = {
    "nogil": True,
    # Without Python's error for a division by zero, which keeps a loop from being vectorised.
    "error_model": "numpy",
    # NaN and infinity are kept, so that a training that diverged is noticed.
    "fastmath": {"contract", "reassoc", "arcp", "nsz"},
}
_inlined = numba.njit(inline="always", **_OPTIONS)
_TILES = hashlib.sha256(inspect.getsource(tiles).encode()).hexdigest()[:16]


def _compiled(function: Callable[..., None]) -> Any:
    # Numba's cache goes by the function's name and the time of its file; the tiles are part of it.
    function.__qualname__ += f"_{_TILES}"
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        # Numba can write neither beside this file nor to the user's cache.
        return numba.njit(**_OPTIONS)(function)


@functools.cache
def prepare() -> None:
    """Compile both loops (5 s), or read them from Numba's cache (0.5 s); once a process.

    The first batch would compile them in TensorFlow's threads, which are as many as there are
    cores: one would compile, and the others wait.
    """
    for loop in (_forward, _backward):
        loop.compile((numba.float32[:, :, ::1],) * 5)


def forward(
    inputs: np.ndarray, recurrent: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the forward loop.

    Args:
      inputs: x K + b, float32 [T, B, 4H], or [1, B, 4H] if it is the same at every step.
      recurrent: R, float32 [H, 4H].
      steps: T.

    Returns:
      h [T, B, H], the gates [T, B, 4H] and c [T, B, H].
    """
    rows, units = inputs.shape[1], recurrent.shape[0]
    outputs, gates, cells = (_empty(int(steps), rows, width * units) for width in (1, 4, 1))
    _forward(inputs, tiles.cut(recurrent), outputs, gates, cells)
    return outputs, gates, cells


def backward(
    slope: np.ndarray, recurrent: np.ndarray, gates: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """Run the backward loop: from the gradient of h, [T, B, H], return that of z, [T, B, 4H]."""
    gradient = _empty(*gates.shape)
    _backward(slope, tiles.cut(recurrent.T), gates, cells, gradient)
    return gradient


def _empty(*shape: int) -> np.ndarray:
    """Allocate float32, aligned as TensorFlow's arrays are; it would copy others."""
    size = int(np.prod(shape))
    buffer = np.empty(size + _ALIGNMENT // 4, np.float32)
    start = -buffer.ctypes.data % _ALIGNMENT // 4
    return buffer[start : start + size].reshape(shape)


def _terms(depth: int) -> list[list[np.float32]]:
    """Return numerator and denominator of tanh(x) / x, by powers of x^2."""
    upper, lower = [Fraction(1)], [Fraction(2 * depth - 1)]
    for odd in range(2 * depth - 3, 0, -2):
        longer = [Fraction(0), *upper]
        above = lower + [Fraction(0)] * (len(longer) - len(lower))
        upper, lower = lower, [odd * a + b for a, b in zip(above, longer, strict=True)]
    return [[np.float32(term / upper[0]) for term in terms] for terms in (upper, lower)]


(_P0, _P1, _P2, _P3, _P4, _P5, _P6), (_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6) = _terms(13)
_HALF, _ONE, _END = np.float32(0.5), np.float32(1.0), np.float32(9.0)


@_inlined
def _tanh(x):
    x = _END if x > _END else x
    x = -_END if x < -_END else x
    y = x * x
    upper = (((((_P6 * y + _P5) * y + _P4) * y + _P3) * y + _P2) * y + _P1) * y + _P0
    lower = (((((_Q6 * y + _Q5) * y + _Q4) * y + _Q3) * y + _Q2) * y + _Q1) * y + _Q0
    return x * upper / lower


@_inlined
def _sigmoid(x):
    return _HALF + _HALF * _tanh(_HALF * x)


@_compiled
def _product(rows, blocks, edge, out):
    """Multiply rows [B, K] by the weights that `tiles.cut` cut, into `out`, [B, N].

    `edge`, [B, COLUMNS], is for the columns of a tile that only begins within `out`.
    """
    whole = out.shape[1] // COLUMNS
    for place in range(whole):
        _multiply(rows, blocks, place, out, place * COLUMNS)
    if whole < len(blocks):
        _multiply(rows, blocks, whole, edge, 0)
        for row in range(len(rows)):
            into, product = out[row, whole * COLUMNS :], edge[row]
            for j in range(len(into)):
                into[j] = product[j]


@_inlined
def _multiply(rows, blocks, place, out, column):
    row, end = 0, len(rows)
    while row + 4 <= end:
        multiply_4(rows, row, blocks, place, out, column)
        row += 4
    if row + 2 <= end:
        multiply_2(rows, row, blocks, place, out, column)
        row += 2
    if row < end:
        multiply_1(rows, row, blocks, place, out, column)


@_compiled
def _forward(inputs, blocks, outputs, gates, cells):
    steps, rows, units = outputs.shape
    edge = np.empty((rows, COLUMNS), np.float32)
    output = cell = np.zeros((rows, units), np.float32)
    for t in range(steps):
        _product(output, blocks, edge, gates[t])
        _step(inputs[min(t, len(inputs) - 1)], cell, gates[t], cells[t], outputs[t])
        output, cell = outputs[t], cells[t]


@_compiled
def _step(inputs, before, gates, cells, outputs):
    units = cells.shape[1]
    for row in range(len(cells)):
        z, x, old, new, h = gates[row], inputs[row], before[row], cells[row], outputs[row]
        i, f, g, o = z[:units], z[units : 2 * units], z[2 * units : 3 * units], z[3 * units :]
        _add_sigmoid(z[: 2 * units], x[: 2 * units])
        _add_tanh(g, x[2 * units : 3 * units])
        _add_sigmoid(o, x[3 * units :])
        for j in range(units):
            new[j] = f[j] * old[j] + i[j] * g[j]
        for j in range(units):
            h[j] = o[j] * _tanh(new[j])


@_compiled
def _add_sigmoid(z, x):
    for j in range(len(z)):
        z[j] = _sigmoid(z[j] + x[j])


@_compiled
def _add_tanh(z, x):
    for j in range(len(z)):
        z[j] = _tanh(z[j] + x[j])


@_compiled
def _backward(slope, blocks, gates, cells, gradient):
    steps, rows, units = slope.shape
    edge = np.empty((rows, COLUMNS), np.float32)
    start = np.zeros((rows, units), np.float32)
    output, cell = start.copy(), start.copy()
    for t in range(steps - 1, -1, -1):
        before = cells[t - 1] if t > 0 else start
        _step_back(slope[t], gates[t], cells[t], before, output, cell, gradient[t])
        _product(gradient[t], blocks, edge, output)


@_compiled
def _step_back(slope, gates, cells, before, output, cell, gradient):
    """Compute dz of a step; `output` and `cell` hold dz R' and dc f of the next step.

    `cell` is set to dc f of this step.
    """
    units = slope.shape[1]
    for row in range(len(slope)):
        z, dz = gates[row], gradient[row]
        i, f, g, o = z[:units], z[units : 2 * units], z[2 * units : 3 * units], z[3 * units :]
        di, df, dg, do = (
            dz[:units],
            dz[units : 2 * units],
            dz[2 * units : 3 * units],
            dz[3 * units :],
        )
        after, old = cells[row], before[row]
        dh, further, dc = slope[row], output[row], cell[row]
        for j in range(units):
            do[j] = _tanh(after[j])
        for j in range(units):
            h = dh[j] + further[j]
            dc[j] += h * o[j] * (_ONE - do[j] * do[j])
            do[j] = h * do[j] * o[j] * (_ONE - o[j])
        for j in range(units):
            di[j] = dc[j] * g[j] * i[j] * (_ONE - i[j])
            dg[j] = dc[j] * i[j] * (_ONE - g[j] * g[j])
        for j in range(units):
            df[j] = dc[j] * old[j] * f[j] * (_ONE - f[j])
            dc[j] *= f[j]
