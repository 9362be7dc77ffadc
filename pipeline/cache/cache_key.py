"""Digest what decides a stage's result beside its inputs and options: our code, others' versions.

TFX's cache sees neither. The code is the whole package, and those that add to it by entry points,
so an upgrade of ragline redoes every stage: a list of what each stage runs would not stay true. The
versions are those of every distribution that a module of the package imports.
"""

import functools
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import sys
from collections.abc import Iterator

from ragline.components.files.storage import digest_of, sha256

_PACKAGE = pathlib.Path(__file__).parents[2]
# Modules, and push's list of operations; the report's template decides no stage's result.
_SUFFIXES = (".py", ".txt")
# A namespace of many distributions, of which we import one.
_NAMESPACES = {"google": ("protobuf",)}
# What TFX's own stages run and we never import ourselves.
_BY_TFX_ALONE = ("tensorflow-data-validation",)
_IMPORT = re.compile(rb"^ *(?:from|import) +(\w+)", re.MULTILINE)


@functools.cache
def source() -> str:
    """Return the digest of every module of the package, and of those that entry points add."""
    return digest_of(
        part
        for folder in (_PACKAGE, *_plug_ins())
        for file in _files(folder)
        for part in (file.relative_to(folder).as_posix(), sha256(file))
    )


def _plug_ins() -> list[pathlib.Path]:
    """Return the folders of packages, or the modules, that entry points for ragline name."""
    entries = importlib.metadata.entry_points()
    groups = [group for group in entries.groups if group.startswith(f"{_PACKAGE.name}.")]
    names = {
        entry.module.partition(".")[0] for group in groups for entry in entries.select(group=group)
    }
    specs = [importlib.util.find_spec(name) for name in sorted(names)]
    # A missing module is an error once its plug-in is used.
    origins = [pathlib.Path(spec.origin) for spec in specs if spec and spec.origin]
    return [path.parent if path.name == "__init__.py" else path for path in origins]


@functools.cache
def versions() -> str:
    """Return Python's version and that of each distribution that the package imports."""
    distributions = {**importlib.metadata.packages_distributions(), **_NAMESPACES}
    imported = {name for file in _files(_PACKAGE) if file.suffix == ".py" for name in _names(file)}
    names = {name for package in imported for name in distributions.get(package, ())}
    names = names - {"ragline"} | {*_BY_TFX_ALONE}
    name_and_version = [f"{name} {importlib.metadata.version(name)}" for name in sorted(names)]
    return ", ".join([f"python {platform.python_version()}", *name_and_version])


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the files whose content counts; in a checkout, the package's folders are links."""
    if folder.is_file():
        return [folder]
    return sorted(
        pathlib.Path(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.endswith(_SUFFIXES)
    )


def _names(file: pathlib.Path) -> Iterator[str]:
    """Yield the top-level packages that a module imports, without the standard library's.

    Lines are matched: to parse the whole package would take most of a second in each run.
    """
    names = {match.decode() for match in _IMPORT.findall(file.read_bytes())}
    yield from names - sys.stdlib_module_names
