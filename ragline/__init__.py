"""Offer a pushed encoder on arrays, and `ragline encode` as a function.

The stages, the pipeline around them and the schemas are `ragline.components`, `ragline.pipeline`
and `ragline.schemas`; in the repository their folders stand at the top, and links lead to them.
Importing ragline takes no time: what it offers is imported when it is first used.
"""

import importlib
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragline.components.contract.errors import BadDataError, UsageError
    from ragline.components.serving.encoder import Encoder
    from ragline.components.serving.facts import NoEncoderError
    from ragline.components.serving.versions import DamagedModelError

__all__ = ["BadDataError", "DamagedModelError", "Encoder", "NoEncoderError", "UsageError", "encode"]

_HOMES = {
    "BadDataError": "ragline.components.contract.errors",
    "DamagedModelError": "ragline.components.serving.versions",
    "Encoder": "ragline.components.serving.encoder",
    "NoEncoderError": "ragline.components.serving.facts",
    "UsageError": "ragline.components.contract.errors",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ragline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def encode(
    source: str | pathlib.Path,
    *,
    input: str,
    output: str | pathlib.Path,
    overrides: Iterable[str] = (),
    max_drift: float | None = None,
    errors: bool = False,
) -> dict[str, Any]:
    """Encode raw files into a folder of Parquet files; `ragline encode` as a function.

    Args:
      source: a configuration, whose newest encoder is taken, or an encoder's folder or URI.
      input: path or pattern of the raw files.
      output: the folder or its URI; an earlier result in it is replaced, the same one is left as
        it is.
      overrides: `key=value` each, such as `input.format=csv`.
      max_drift: stop if a feature's mean is so many standard deviations from the training data's,
        or its spread so many times theirs, either way, or most words of a category are unknown.
      errors: also compute each sequence's reconstruction error, in several times the time.

    Returns:
      The account: `read`, `encoded`, `quarantined`, `reasons`, `sequences`, `steps`, `parts`,
      `warnings`, `model` and more; see `ragline.pipeline.bulk.encode_files.encode`.

    Raises:
      BadDataError: the files cannot be used.
      UsageError: there is no encoder, or an option is wrong; one line a mistake.
    """
    from ragline.pipeline.bulk import encode_files

    request = encode_files.read_request(
        str(source), input, tuple(overrides), max_drift=max_drift, errors=errors
    )
    return encode_files.encode(request, output)
