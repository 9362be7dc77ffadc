"""Tell which kernel of OpenBLAS runs, and compute with one thread of it where two lose time.

NumPy's and SciPy's products take the best kernel that OpenBLAS knows for the processor, unless
`OPENBLAS_CORETYPE` in the environment names another, as some machines have it for older builds.
Such are the products of a training's start, of the baselines, and the last ones of an encoding;
those of a training's updates are not (train/model/lstm/tiles.py, and TensorFlow's own).
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# Bits of a vector in the kernels for x86; any other name is of an older or another processor.
_BITS = {
    **dict.fromkeys(("SkylakeX", "Cooperlake", "SapphireRapids"), 512),
    **dict.fromkeys(("Haswell", "Zen", "Excavator"), 256),
}
_FEATURES = {512: "AVX512_SKX", 256: "AVX2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """Describes a kernel of OpenBLAS.

    Attributes:
      name: OpenBLAS's name of it; None if SciPy has another library.
      warning: a sentence, if the processor has more than it uses.
    """

    name: str | None
    warning: str | None


def kernel() -> Kernel:
    """Return the kernel that runs in this process."""
    import scipy.linalg  # noqa: F401 (loads the library)
    import threadpoolctl

    names = [
        library["architecture"]
        for library in threadpoolctl.threadpool_info()
        if library["internal_api"] == "openblas" and "scipy.libs" in library["filepath"]
    ]
    return judge(names[0], _most_bits()) if names else Kernel(name=None, warning=None)


def judge(name: str, most_bits: int) -> Kernel:
    """Return a kernel, with a warning if the processor's vectors have more bits.

    Args:
      name: OpenBLAS's name of the kernel.
      most_bits: the bits of a vector of the processor; 0 if it is none of x86.
    """
    if _BITS.get(name, 0) >= most_bits:
        return Kernel(name=name, warning=None)
    set_by_hand = os.environ.get("OPENBLAS_CORETYPE")
    why = (
        f"OPENBLAS_CORETYPE={set_by_hand} in the environment asks for it: unset it"
        if set_by_hand
        else ""
    )
    return Kernel(
        name=name,
        warning=f"OpenBLAS runs its kernel {name}, and the processor has {_FEATURES[most_bits]}: "
        "the start of a training and its baselines take longer; "
        f"{why or 'a newer SciPy may know the processor'}",
    )


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function during which OpenBLAS has one thread.

    Each product of a few hundred rows waits for the second thread, which TensorFlow or another
    process may keep from its core: the components of 650 numbers then took 0.5 s in place of 0.02.
    """

    @functools.wraps(function)
    def limited(*args: P.args, **named: P.kwargs) -> R:
        import scipy.linalg  # noqa: F401 (loads the library)
        import threadpoolctl

        with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
            return function(*args, **named)

    return limited


def _most_bits() -> int:
    from numpy._core import _multiarray_umath  # type: ignore[attr-defined]  # There alone.

    has = _multiarray_umath.__cpu_features__
    return max((bits for bits, feature in _FEATURES.items() if has.get(feature)), default=0)
