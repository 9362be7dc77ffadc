"""Read and write state files: what ragline remembers from run to run, as JSON with a checksum.

    {"ragline": "seal", "format": 1, "sha256": "...", "content": ...}

`ragline` is the kind of the file, `sha256` the digest of kind and content. A file of the same name
that somebody else wrote, that was cut off or that has a flipped bit is recognised and not believed.
"""

import json
import logging
import os
import stat
from typing import Any

import pydantic

from ragline.components.contract.errors import UserError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import digest_of, standard, write_text

FORMAT = 1
_log = logging.getLogger("ragline.state")
_KEYS = {"ragline", "format", "sha256", "content"}


class StateError(UserError):
    """Says which file is no state file of the expected kind, and why."""


def write(path: Place, kind: str, content: Any) -> None:
    """Replace a state file atomically; any other file of its name is moved out of the way.

    Args:
      path: path of the file.
      kind: kind of the file, in a word or two.
      content: content, as JSON can hold it.
    """
    if places.is_local(path) and os.path.lexists(path) and not _is_state(path, kind):
        number = 1
        while os.path.lexists(moved := f"{os.fspath(path)}.set-aside-{number}"):
            number += 1
        os.rename(path, moved)
        _log.warning("%s: is no %s of ragline; moved to %s", path, kind, moved)
    write_text(path, text_of(kind, content))


def text_of(kind: str, content: Any) -> str:
    """Return the text of a state file; see `write`."""
    plain = json.loads(json.dumps(standard(content)))
    document = {"ragline": kind, "format": FORMAT, "sha256": _digest(kind, plain), "content": plain}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def read(path: Place, kind: str, shape: Any) -> Any:
    """Return the content of a state file.

    Args:
      path: path of the file.
      kind: kind that the file must have.
      shape: type of the content, for pydantic: `list[str]`, or a dataclass.

    Raises:
      FileNotFoundError: there is no such file.
      StateError: the file is no state file of this kind.
      OSError: the file cannot be read.
    """
    if places.is_local(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise StateError(f"{path}: expected a file, received a folder or a link")
    data = places.read(path)
    try:
        return _content(data, kind, shape)
    except (ValueError, RecursionError) as error:
        words = "nested too deeply" if isinstance(error, RecursionError) else _first_line(error)
        raise StateError(f"{path}: expected a {kind} of ragline: {words}") from error


def _is_state(path: Place, kind: str) -> bool:
    try:
        read(path, kind, Any)
    except StateError:
        return False
    return True


def _content(data: bytes, kind: str, shape: Any) -> Any:
    document = json.loads(data)
    if not isinstance(document, dict) or document.keys() != _KEYS:
        raise ValueError(f"received other keys than {', '.join(sorted(_KEYS))}")
    if document["ragline"] != kind or document["format"] != FORMAT:
        raise ValueError(f"received {document['ragline']!r} of format {document['format']!r}")
    if document["sha256"] != _digest(kind, document["content"]):
        raise ValueError("its checksum is another: it was cut off or changed")
    return pydantic.TypeAdapter(shape).validate_python(document["content"])


def _digest(kind: str, content: Any) -> str:
    return digest_of([kind, str(FORMAT), json.dumps(content, sort_keys=True)])


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0]
