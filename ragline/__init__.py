"""ragline in a notebook: a pushed encoder on arrays, and `ragline encode` as a function.

Importing it takes no time: TensorFlow is imported when an encoder is loaded.
"""

import pathlib
from collections.abc import Iterable
from typing import Any

from ragline.components.contract.errors import BadDataError, UsageError
from ragline.components.serving.encoder import Encoder, NoEncoderError

__all__ = ["BadDataError", "Encoder", "NoEncoderError", "UsageError", "encode"]


def encode(
    source: str | pathlib.Path,
    *,
    input: str,
    output: str | pathlib.Path,
    overrides: Iterable[str] = (),
) -> dict[str, Any]:
    """Encodes raw files into a folder of Parquet files; `ragline encode` as a function.

    Args:
      source: a configuration, whose newest encoder is taken, or an encoder's folder or URI.
      input: path or pattern of the raw files.
      output: the folder or its URI; an earlier result in it is replaced, the same one is left as
        it is.
      overrides: `key=value` each, such as `input.format=csv`.

    Returns:
      The account: `read`, `encoded`, `quarantined`, `reasons`, `sequences`, `steps`, `parts`,
      `model` and more; see `ragline.pipeline.bulk.encode_files.encode`.

    Raises:
      BadDataError: the files cannot be used.
      UsageError: there is no encoder, or an option is wrong; one line a mistake.
    """
    from ragline.pipeline.bulk import encode_files as job

    asked = job.request(str(source), input, tuple(overrides))
    return job.encode(asked, output)
