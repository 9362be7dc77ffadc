"""State files: what ragline remembers from run to run, as JSON that proves itself.

    {"ragline": "seal", "format": 1, "sha256": "...", "content": ...}

`ragline` says of what kind it is, `sha256` is of the content. A file of the same name that somebody
else wrote, one that was cut off and one of which a bit has flipped are all told from it, and none
of them is believed.
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
    """A file that is no state file of the kind that is expected; says which, and why."""


def write(path: Place, kind: str, content: Any) -> None:
    """Replaces a state file, atomically; anything else that has its name is moved out of the way.

    Args:
      path: of the file.
      kind: what it is, in a word or two.
      content: as JSON can hold it.
    """
    if places.is_local(path) and os.path.lexists(path) and not _is_state(path, kind):
        number = 1
        while os.path.lexists(kept := f"{os.fspath(path)}.set-aside-{number}"):
            number += 1
        os.rename(path, kept)
        _log.warning("%s: is no %s of ragline; moved to %s", path, kind, kept)
    write_text(path, text_of(kind, content))


def text_of(kind: str, content: Any) -> str:
    """A state file's text; arguments as of `write`."""
    plain = json.loads(json.dumps(standard(content)))
    stated = {"ragline": kind, "format": FORMAT, "sha256": _digest(kind, plain), "content": plain}
    return json.dumps(stated, indent=2, allow_nan=False) + "\n"


def read(path: Place, kind: str, shape: Any) -> Any:
    """The content of a state file.

    Args:
      path: of the file.
      kind: what it must be.
      shape: the type of its content, as pydantic knows it: `list[str]`, or a dataclass.

    Raises:
      FileNotFoundError: nothing stands there.
      StateError: something else does.
      OSError: it cannot be read.
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
    stated = json.loads(data)
    if not isinstance(stated, dict) or stated.keys() != _KEYS:
        raise ValueError(f"received other keys than {', '.join(sorted(_KEYS))}")
    if stated["ragline"] != kind or stated["format"] != FORMAT:
        raise ValueError(f"received {stated['ragline']!r} of format {stated['format']!r}")
    if stated["sha256"] != _digest(kind, stated["content"]):
        raise ValueError("its checksum is another: it was cut off or changed")
    return pydantic.TypeAdapter(shape).validate_python(stated["content"])


def _digest(kind: str, content: Any) -> str:
    return digest_of([kind, str(FORMAT), json.dumps(content, sort_keys=True)])


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0]
