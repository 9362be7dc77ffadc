"""Keep a model's weights beside its SavedModel, in a file that is read without TensorFlow.

They are those of the SavedModel's own variables, which a reader makes sure of by the digest that
the model states (`facts.digest_of_weights`). A model that an older ragline exported has none.
"""

import io
import os
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from ragline.components.contract.signatures import WEIGHTS_FILE
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import write_bytes


def write(model: Place, weights: Mapping[str, np.ndarray]) -> None:
    """Write the weights, name -> array, of the model in a folder."""
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **weights)
    write_bytes(f"{os.fspath(model)}/{WEIGHTS_FILE}", packed.getvalue())


def read(model: Place) -> dict[str, np.ndarray]:
    """Read the weights of a model from its folder.

    Raises:
      OSError: there is no such file, or it cannot be read.
      ValueError: it is no file of weights.
    """
    file = f"{os.fspath(model)}/{WEIGHTS_FILE}"
    try:
        with np.load(io.BytesIO(places.read(file)), allow_pickle=False) as arrays:
            return dict(arrays)
    except (EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file}: expected weights, received {error!r}") from error
