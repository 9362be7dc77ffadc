"""Keep TensorFlow's lines from the terminal of a command that loads it in its own process."""

import contextlib
import os
from collections.abc import Iterator

# TensorFlow reads it once, when its C++ part is loaded: 3 leaves fatal errors alone.
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def tensorflow() -> Iterator[None]:
    """Import TensorFlow inside, and it greets nobody; who set the level already keeps it."""
    stated = os.environ.get(_LEVEL)
    os.environ.setdefault(_LEVEL, "3")
    try:
        yield
    finally:
        if stated is None:
            os.environ.pop(_LEVEL, None)
