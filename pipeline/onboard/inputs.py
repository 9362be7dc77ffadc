"""Make one pattern of what `ragline init` is given: a file, a folder, a pattern, or many names.

A shell makes many names of an unquoted pattern; a configuration needs the pattern back.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence

from ragline.components.contract.errors import BadDataError, UsageError
from ragline.components.ingest import formats
from ragline.components.ingest.source import patterns, raw_files

_MOST_LISTED = 3


def pattern_of(paths: Sequence[str], pattern: str | None = None) -> str:
    """Return the pattern of files.

    Args:
      paths: files, a folder, or a pattern.
      pattern: the pattern, if it was given as one.

    Raises:
      UsageError: nothing was given, or no pattern names these files alone.
    """
    if pattern is not None and paths:
        raise UsageError(f"--input: expected it or names of files, received both: {paths[0]}")
    if pattern is None and not paths:
        raise UsageError(
            "init: expected files, a folder or a pattern, such as `ragline init data/`; received "
            "none"
        )
    if pattern is not None or len(paths) == 1:
        place = paths[0] if pattern is None else pattern
        return _of_folder(place) if os.path.isdir(place) else place
    if folders := [path for path in paths if os.path.isdir(path)]:
        raise UsageError(
            f"init: expected one folder, or files, received {len(paths)} names with the folder "
            f"{folders[0]} among them"
        )
    if len({os.path.isabs(path) for path in paths}) > 1:
        paths = [os.path.abspath(path) for path in paths]
    return _of_files([os.path.normpath(path) for path in paths])


def _of_folder(folder: str) -> str:
    """Return the pattern of the data in a folder: of one ending, in it or in folders below it."""
    names = [
        os.path.relpath(os.path.join(above, name), folder)
        for above, below, names in os.walk(folder)
        if not _is_hidden(os.path.relpath(above, folder))
        for name in names
        if not name.startswith((".", "_"))
    ]
    if not names:
        raise UsageError(f"{folder}: expected files of data in the folder, found none")
    here = [name for name in names if os.sep not in name]
    endings = Counter(map(_ending, here if any(map(_is_data, map(_ending, here))) else names))
    known = {ending: count for ending, count in endings.items() if _is_data(ending)}
    if len(known) > 1:
        listed = ", ".join(
            f"'{os.path.join(folder, '*' + ending)}' ({count} files)"
            for ending, count in sorted(known.items())
        )
        raise UsageError(f"{folder}: expected files of one kind, found several: give one, {listed}")
    if not known and len(endings) > 1:
        raise UsageError(
            f"{folder}: expected files that end in {', '.join(_suffixes())}; found "
            f"{', '.join(sorted(endings)[:_MOST_LISTED]) or 'other ones'}"
        )
    [ending] = known or endings
    inside = "*" if any(_ending(name) == ending for name in here) else os.path.join("**", "*")
    return os.path.join(folder, f"{inside}{ending}")


def _of_files(paths: Sequence[str]) -> str:
    """Return the narrowest pattern that names these files, and no other."""
    wanted = {os.path.abspath(path) for path in paths}
    folders = {os.path.dirname(path) for path in paths}
    names = [os.path.basename(path) for path in paths]
    folder = os.path.commonpath(folders) if folders != {""} else ""
    start = _common_start(names)
    end = _common_start([name[::-1] for name in names])[::-1]
    room = min(map(len, names)) - len(start)
    end = end[len(end) - min(len(end), room) :]
    endings = {_ending(name) for name in names}
    ending = endings.pop() if len(endings) == 1 else end
    between = [""] if len(folders) == 1 else ["*", "**"]
    for inside in between:
        for last in dict.fromkeys((f"*{ending}", f"{start}*{end}")):
            candidate = os.path.join(folder, inside, last) if inside else os.path.join(folder, last)
            try:
                matched = patterns.match(candidate, allow_outside=True).paths
            except BadDataError:
                continue
            if {os.path.abspath(path) for path in matched} == wanted:
                return candidate
    widest = os.path.join(folder, f"*{ending}")
    raise UsageError(
        f"init: no pattern names these {len(paths)} files alone, since {widest!r} names others, "
        "too; give a pattern in quotes, or put the files into a folder of their own"
    )


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


def _suffixes() -> list[str]:
    return [suffix for name in formats.FORMATS.own for suffix in formats.of(name).suffixes]


def _is_data(ending: str) -> bool:
    stem = ending.lower().removesuffix(raw_files.compression(ending))
    return bool(stem) and os.path.splitext(f"x{stem}")[1] in _suffixes()


def _ending(name: str) -> str:
    """Return `.csv` of `a.csv`, and `.csv.gz` of `a.b.csv.gz`."""
    compression = raw_files.compression(name)
    stem = name[: len(name) - len(compression)] if compression else name
    matched = re.search(r"\.[A-Za-z][A-Za-z0-9]{0,11}$", stem)
    return (matched.group() if matched else "") + (name[len(stem) :])


def _is_hidden(folder: str) -> bool:
    return any(part.startswith((".", "_")) and part != "." for part in folder.split(os.sep))
