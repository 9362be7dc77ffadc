"""What decides a stage's result beside its inputs and options: our own code, and others' versions.

TFX's cache sees neither. The code is every module that the stage's package imports, however far
down, so that an edit reruns the stages that run it and no others. The versions are those of the
packages that do the stage's work.
"""

import ast
import functools
import importlib.metadata
import pathlib
import platform
from collections.abc import Iterator

from ragline.components.files.storage import digest_of, sha256

_TOP = pathlib.Path(__file__).resolve().parent.parent
_OURS = ("components", "schemas")

# numpy stands in every stage's arithmetic, protobuf in every record.
_EVERYWHERE = ("numpy", "protobuf", "tensorflow", "tfx")
_BEAM = ("apache-beam", "pyarrow", "tfx-bsl")
_PACKAGES = {
    "schema": (),
    "ingest": (*_BEAM, "defusedxml", "isal", "orjson"),
    "statistics": (*_BEAM, "tensorflow-data-validation"),
    "anomalies": ("tensorflow-data-validation",),
    "gate": (),
    "transform": (*_BEAM, "tensorflow-data-validation", "tensorflow-transform"),
    "tune": ("keras", "keras-tuner", "tensorflow-transform"),
    "train": ("keras", "tensorflow-transform"),
    "push": ("keras", "tensorflow-transform"),
}
_ALL = (*_BEAM, "keras", "scikit-learn", "scipy", "tensorflow-data-validation",
        "tensorflow-model-analysis", "tensorflow-transform")  # fmt: skip


def versions(stage: str) -> str:
    """The versions that a stage's result may depend on, as text; all, for a stage not listed."""
    packages = sorted({*_EVERYWHERE, *_PACKAGES.get(stage, _ALL)})
    found = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    return ", ".join([f"python {platform.python_version()}", *found])


def source(package: str) -> str:
    """Digest of a package of ours, such as `ragline.components.train`, and of all of ours it imports."""
    return digest_of(
        part
        for file in sources(package)
        for part in (file.relative_to(_TOP).as_posix(), sha256(file))
    )


def sources(package: str) -> list[pathlib.Path]:
    """The files that `source` is the digest of.

    Raises:
      FileNotFoundError: there is no such package.
    """
    found: set[pathlib.Path] = set()
    waiting = sorted((_TOP / package.replace(".", "/")).rglob("*.py"))
    if not waiting:
        raise FileNotFoundError(f"no source below {_TOP / package.replace('.', '/')}")
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imported(file, file.stat().st_mtime_ns))
    return sorted(found)


@functools.cache
def _imported(file: pathlib.Path, _modified: int) -> list[pathlib.Path]:
    """Our files that one file's imports run, an `__init__.py` of each package on the way."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [path for name in _names(tree) for path in _files(name)]


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str) -> Iterator[pathlib.Path]:
    parts = name.split(".")
    if parts[0] in _OURS:
        for end in range(1, len(parts) + 1):
            place = _TOP.joinpath(*parts[:end])
            for file in (place / "__init__.py", place.with_suffix(".py")):
                if file.is_file():
                    yield file
