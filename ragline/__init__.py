"""Train encoders of sequences, load them, and encode: the pipeline, from Python.

    SequenceEncoder       an estimator for scikit-learn: fit, transform, score_samples
    Encoder, load         a pushed encoder, and that of a work directory
    run, plan, check, encode, neighbours   the commands, as functions

Calls leave their process as it is, work in any thread, and raise errors of one base class,
`UserError`. The stages, the pipeline around them and the schemas are `ragline.components`,
`ragline.pipeline` and `ragline.schemas`; in the repository their folders stand at the top, and
links lead to them. Importing ragline takes no time: what it offers is imported when it is first
used.
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragline.components.contract.errors import (
        BadDataError,
        InputError,
        NoEncoderError,
        NotBlessedError,
        RunFailedError,
        UsageError,
        UserError,
    )
    from ragline.components.serving.encoder import Encoder
    from ragline.components.serving.versions import DamagedModelError
    from ragline.pipeline.config import ConfigError
    from ragline.pipeline.python.calls import check, encode, load, neighbours, plan, run
    from ragline.pipeline.python.estimator import SequenceEncoder
    from ragline.pipeline.runs.machine_errors import BusyError, MachineError

    __version__: str

__all__ = [
    "BadDataError",
    "BusyError",
    "ConfigError",
    "DamagedModelError",
    "Encoder",
    "InputError",
    "MachineError",
    "NoEncoderError",
    "NotBlessedError",
    "RunFailedError",
    "SequenceEncoder",
    "UsageError",
    "UserError",
    "__version__",
    "check",
    "encode",
    "load",
    "neighbours",
    "plan",
    "run",
]

_ERRORS = "ragline.components.contract.errors"
_CALLS = "ragline.pipeline.python.calls"
_HOMES = {
    "BadDataError": _ERRORS,
    "BusyError": "ragline.pipeline.runs.machine_errors",
    "ConfigError": "ragline.pipeline.config",
    "DamagedModelError": "ragline.components.serving.versions",
    "Encoder": "ragline.components.serving.encoder",
    "InputError": _ERRORS,
    "MachineError": "ragline.pipeline.runs.machine_errors",
    "NoEncoderError": _ERRORS,
    "NotBlessedError": _ERRORS,
    "RunFailedError": _ERRORS,
    "SequenceEncoder": "ragline.pipeline.python.estimator",
    "UsageError": _ERRORS,
    "UserError": _ERRORS,
    "check": _CALLS,
    "encode": _CALLS,
    "load": _CALLS,
    "neighbours": _CALLS,
    "plan": _CALLS,
    "run": _CALLS,
}


def __getattr__(name: str) -> Any:
    """Import what is asked for from its home."""
    if name == "__version__":
        return importlib.metadata.version("ragline")
    if name not in _HOMES:
        raise AttributeError(f"module 'ragline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the names that the module offers, those that are not imported yet among them."""
    return sorted({*globals(), *__all__})
