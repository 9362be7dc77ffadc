"""Read the names of files: fields that many of them share."""

import os
import re
from collections.abc import Sequence

_LETTER = re.compile(r"[^\W\d_]")
_APART = re.compile(r"[_\-. ]")


def with_fields(pattern: str, paths: Sequence[str]) -> tuple[str, str] | None:
    """Return a pattern with a field for what names several files each, and its name.

    `pump00_0001.csv`, `pump00_0002.csv`, `pump01_0001.csv` are of `{pump}_{n}.csv`, and `pump`
    names several files each. None where the names are not of one shape, or say no such thing.

    Args:
      pattern: that names the files, with no field; all that is before its last name is kept.
      paths: the files.
    """
    if len(paths) < 4 or "{" in pattern or "**" in pattern:
        return None
    folder, last = os.path.split(pattern)
    if "*" not in last or len({os.path.dirname(path) for path in paths}) > 1:
        return None
    stems = []
    endings = {_ending(os.path.basename(path)) for path in paths}
    if len(endings) > 1:
        return None
    ending = endings.pop()
    for path in paths:
        stems.append(os.path.basename(path).removesuffix(ending))
    cut = {tuple(_APART.findall(stem)) for stem in stems}
    if len(cut) > 1 or not (marks := cut.pop()):
        return None
    columns = list(zip(*(_APART.split(stem) for stem in stems), strict=True))
    kinds = [len(set(column)) for column in columns]
    if any("" in column for column in columns):
        return None
    naming = [place for place, number in enumerate(kinds) if 1 < number <= len(paths) / 2]
    # Beside a name, numbers count. Of two names, as a person and a place, neither is chosen.
    lettered = [place for place in naming if any(map(_LETTER.search, columns[place]))]
    naming = lettered or naming
    if len(naming) != 1:
        return None
    chosen = naming[0]
    fields = [
        text[0] if kind == 1 else f"{{{_name(text, place == chosen, place)}}}"
        for place, (text, kind) in enumerate(zip(columns, kinds, strict=True))
    ]
    shape = fields[0] + "".join(m + f for m, f in zip(marks, fields[1:], strict=True))
    return os.path.join(folder, shape + ending), _name(columns[chosen], True, chosen)


def _ending(name: str) -> str:
    matched = re.search(r"(?:\.[A-Za-z][A-Za-z0-9]{0,7}){1,2}$", name)
    return matched.group() if matched else ""


def _name(texts: Sequence[str], is_entity: bool, place: int) -> str:
    """Return a field's name: the letters that all its texts begin with, or a plain one."""
    letters = {re.sub(r"[0-9]+$", "", text).lower() for text in texts}
    if len(letters) == 1 and re.fullmatch(r"[a-z]{2,}", letters_of := letters.pop()):
        return letters_of
    return "entity" if is_entity else f"n{place}" if place > 1 else "n"
