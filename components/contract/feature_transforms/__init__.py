"""Define the transforms of a feature's values, which come before their standardisation.

    none         x
    log          ln x                   of x > 0; another value is as good as missing
    signed_log   sign(x) ln(1 + |x|)    of any x: linear near 0, logarithmic far from it

Each formula is written once, and computed by NumPy, TensorFlow and ONNX. Statistics, and all errors
of a reconstruction, are of transformed values. A missing value, which is NaN, stays NaN.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

Transform = Literal["none", "log", "signed_log"]
NONE: Literal["none"] = "none"
LOG: Literal["log"] = "log"
SIGNED_LOG: Literal["signed_log"] = "signed_log"
TRANSFORMS: tuple[Transform, ...] = (NONE, LOG, SIGNED_LOG)

# TensorFlow takes smaller ones for 0.
SMALLEST_POSITIVE = float(np.finfo(np.float32).tiny)
_MOST = float(np.finfo(np.float32).max)
# transform -> the lowest value that it takes.
LEAST: Mapping[Transform, float] = {
    NONE: -np.inf,
    LOG: SMALLEST_POSITIVE,
    SIGNED_LOG: -np.inf,
}


class Runtime(NamedTuple):
    """Holds what computes a formula.

    Attributes:
      log: natural logarithm.
      log1p: natural logarithm of 1 + x, exact near 0.
      sign: -1, 0 or 1; NaN of NaN.
      absolute: |x|.
      multiply: product of two.
      at_least: x, but NaN where it is less than a number.
    """

    log: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    sign: Callable[[Any], Any]
    absolute: Callable[[Any], Any]
    multiply: Callable[[Any, Any], Any]
    at_least: Callable[[Any, float], Any]


NUMPY = Runtime(
    log=np.log,
    log1p=np.log1p,
    sign=np.sign,
    absolute=np.abs,
    multiply=np.multiply,
    at_least=lambda x, least: np.where(x >= least, x, np.nan),
)

_FORMULAS: Mapping[Transform, Callable[[Runtime, Any], Any]] = {
    NONE: lambda _, x: x,
    LOG: lambda math, x: math.log(math.at_least(x, LEAST[LOG])),
    SIGNED_LOG: lambda math, x: math.multiply(math.sign(x), math.log1p(math.absolute(x))),
}
_INVERSES: Mapping[Transform, Callable[[np.ndarray], np.ndarray]] = {
    NONE: lambda y: y,
    LOG: np.exp,
    SIGNED_LOG: lambda y: np.sign(y) * np.expm1(np.abs(y)),
}


def apply(transform: Transform, values: Any, runtime: Runtime = NUMPY) -> Any:
    """Transform values, float64, in a runtime; not finite where they are missing."""
    return _FORMULAS[transform](runtime, values)


def apply_by_feature(transforms: Iterable[Transform], values: np.ndarray) -> np.ndarray:
    """Transform values [..., F] by the F transforms; a copy, if one of them changes anything."""
    return _by_feature(apply, transforms, values)


def invert(transform: Transform, values: Any) -> Any:
    """Return the values whose transforms are given, within float32's range and the transform's."""
    with np.errstate(over="ignore"):
        raw = _INVERSES[transform](np.asarray(values, np.float64))
    return raw if transform == NONE else np.clip(raw, max(LEAST[transform], -_MOST), _MOST)


def invert_by_feature(transforms: Iterable[Transform], values: np.ndarray) -> np.ndarray:
    """Return the values [..., F] whose transforms are given, as `invert` does."""
    return _by_feature(invert, transforms, values)


def _by_feature(
    function: Callable[[Transform, Any], Any], transforms: Iterable[Transform], values: np.ndarray
) -> np.ndarray:
    changed = [(place, each) for place, each in enumerate(transforms) if each != NONE]
    if not changed:
        return values
    result = values.astype(np.float64)
    for place, transform in changed:
        result[..., place] = function(transform, result[..., place])
    return result
