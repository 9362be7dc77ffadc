"""DESIGN.md's rules of layout, held by a walk over the source; and that the walk sees a breach.

Imports go one way:

    schemas <- components.<module> <- components.<stage> <- pipeline.{config,fingerprint}
            <- pipeline.dag <- the rest of pipeline <- pipeline.__main__

An import inside a function counts as any other, and so does a dotted name in a string, by which TFX
and `python -m` are given a module.
"""

import ast
import pathlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from components import sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "components", "pipeline")
MOST_LINES = 400

KEYS_HOME = "components.sequence"
# Only keys that are no word of their own: `length` or `time` in a string may mean anything.
KEYS = {
    sequence.SEQUENCE_ID,
    sequence.ENTITY_ID,
    sequence.LENGTH_BUCKET,
    sequence.MISSING_BUCKET,
}
# It plays the outside world: its records are raw files, and a TypedDict wants its keys spelt out.
MAY_SPELL_KEYS = {KEYS_HOME, "pipeline.synth"}

TOP_FLOORS = {
    "pipeline.config": 3, "pipeline.fingerprint": 3, "pipeline.dag": 4, "pipeline.__main__": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file; `name` is dotted, a package's is that of its folder."""

    name: str
    path: pathlib.Path
    place: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


def _modules(top: pathlib.Path) -> dict[str, Module]:
    found = {}
    for package in PACKAGES:
        for path in sorted((top / package).rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(
                name=name,
                path=path,
                place=path.relative_to(top).as_posix(),
                tree=ast.parse(path.read_text(encoding="utf-8")),
            )
    return found


def _stage(name: str, modules: dict[str, Module]) -> str | None:
    """`components.train` of `components.train.loss`; None for what belongs to no stage."""
    package, *rest = name.split(".")
    if package != "components" or not rest:
        return None
    stage = f"{package}.{rest[0]}"
    is_stage = len(rest) > 1 or (stage in modules and modules[stage].is_package)
    return stage if is_stage else None


def _floor(name: str, modules: dict[str, Module]) -> int:
    package = name.split(".")[0]
    if package == "schemas":
        return 0
    if package == "components":
        return 2 if _stage(name, modules) else 1
    # `import pipeline.x` runs pipeline/__init__.py first, which therefore stands below them all.
    return 3 if name == "pipeline" else TOP_FLOORS.get(name, 5)


def _known(dotted: str, modules: dict[str, Module]) -> str | None:
    """The module that a dotted name is, or is something in."""
    parts = dotted.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in modules), None)


def _imported(module: Module, modules: dict[str, Module]) -> Iterator[tuple[int, str]]:
    """The line and name of every module of ours that a module refers to."""
    for node in ast.walk(module.tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            around = module.name.split(".")
            around = around[: len(around) - node.level + module.is_package] if node.level else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if _is_dotted_name(node.value) else []
        for name in names:
            if (found := _known(name, modules)) and found != module.name:
                yield node.lineno, found


def _is_dotted_name(text: str) -> bool:
    return re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+", text) is not None


def upward_imports(top: pathlib.Path) -> Iterator[str]:
    modules = _modules(top)
    for module in modules.values():
        for line, other in _imported(module, modules):
            if _floor(other, modules) > _floor(module.name, modules):
                yield f"{module.place}:{line}: imports upwards: {other}"


def imports_between_stages(top: pathlib.Path) -> Iterator[str]:
    modules = _modules(top)
    for module in modules.values():
        stage = _stage(module.name, modules)
        for line, other in _imported(module, modules):
            if stage and _stage(other, modules) not in (None, stage):
                yield f"{module.place}:{line}: a stage imports another stage: {other}"


def folders_that_are_no_package(top: pathlib.Path) -> Iterator[str]:
    for folder in sorted({module.path.parent for module in _modules(top).values()}):
        for package in (folder, *folder.parents):
            if package == top:
                break
            if not (package / "__init__.py").is_file():
                yield f"{package.relative_to(top).as_posix()}: has no __init__.py"


def names_of_their_package(top: pathlib.Path) -> Iterator[str]:
    for module in _modules(top).values():
        *_, package, name = ("", *module.name.split("."))
        if package == name:
            yield f"{module.place}: bears its package's name"


def long_modules(top: pathlib.Path) -> Iterator[str]:
    for folder in (*PACKAGES, "docs", "benchmarks", "examples"):
        for path in sorted((top / folder).rglob("*.py")):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines >= MOST_LINES:
                place = path.relative_to(top).as_posix()
                yield f"{place}: {lines} lines, expected under {MOST_LINES}"


def given_by_dotted_name(top: pathlib.Path) -> set[str]:
    """The modules that pipeline.dag names to TFX, which reloads them."""
    modules = _modules(top)
    strings = (
        node.value
        for node in ast.walk(modules["pipeline.dag"].tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    found = {_known(text, modules) for text in strings if _is_dotted_name(text)}
    return {name for name in found if name}


def classes_in_reloaded_modules(top: pathlib.Path) -> Iterator[str]:
    modules = _modules(top)
    for name in sorted(given_by_dotted_name(top)):
        for node in ast.walk(modules[name].tree):
            if isinstance(node, ast.ClassDef):
                yield f"{modules[name].place}:{node.lineno}: defines a class: {node.name}"


def spelt_keys(top: pathlib.Path) -> Iterator[str]:
    for module in _modules(top).values():
        if module.name in MAY_SPELL_KEYS:
            continue
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        }
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and node.value in KEYS and id(node) not in docstrings:
                yield f"{module.place}:{node.lineno}: spells the key {node.value!r}"


RULES = (
    upward_imports,
    imports_between_stages,
    folders_that_are_no_package,
    names_of_their_package,
    long_modules,
    classes_in_reloaded_modules,
    spelt_keys,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Callable[[pathlib.Path], Iterator[str]]) -> None:
    assert list(rule(ROOT)) == []


def test_the_walk_sees_the_source() -> None:
    modules = _modules(ROOT)
    stages = {_stage(name, modules) for name in modules} - {None}
    assert stages == {
        f"components.{stage}"
        for stage in (
            *("ingest", "validate", "transform", "train", "evaluate", "push"),
            *("encode", "export"),
        )
    }
    seen = {(name, other) for name in modules for _, other in _imported(modules[name], modules)}
    assert {
        ("components.sequence", "schemas"),
        ("components.train.run_fn", "components.train.loop"),
        ("components.push.check", "components.push.saved_model"),  # A string, for `python -m`.
        ("pipeline.runner", "pipeline.dag"),  # Inside a function.
        ("pipeline.__main__", "pipeline.config"),
    } <= seen


def test_the_modules_that_tfx_reloads_are_these() -> None:
    assert given_by_dotted_name(ROOT) == {
        "components.transform.preprocessing",
        "components.train.run_fn",
        "components.train.tuner_fn",
    }


# The negative control: a small tree that keeps every rule, and each breach of one.

SOUND = {
    "schemas/__init__.py": '"""sequence_id"""',
    "components/__init__.py": "from components import shim",
    "components/shim.py": "import json",
    "components/sequence.py": "import schemas\nSEQUENCE_ID = 'sequence_id'",
    "components/train/__init__.py": '"""Stage 4."""',
    "components/train/loss.py": "from components.sequence import SEQUENCE_ID",
    "components/train/run_fn.py": "from . import loss\nfrom ..sequence import SEQUENCE_ID",
    "components/push/__init__.py": "",
    "components/push/check.py": "print('not sequence_id alone')",
    "pipeline/__init__.py": '"""The pipeline."""',
    "pipeline/config.py": "from components.train import loss",
    "pipeline/dag.py": "from pipeline import config\nRUN = 'components.train.run_fn.run_fn'",
    "pipeline/synth.py": "KEY = 'entity_id'",
    "pipeline/runner.py": "def run():\n    from pipeline import dag, synth\n    import json",
    "pipeline/__main__.py": "import pipeline.runner as runner, sys",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A file put into the sound tree (None: taken out), and the one sentence that must follow."""

    file: str
    source: str | None
    told: str


def _between(file: str, source: str, other: str, line: int = 1) -> Breach:
    told = f"{file}:{line}: a stage imports another stage: {other}"
    return Breach(file=file, source=source, told=told)


def _upward(file: str, source: str, other: str, line: int = 1) -> Breach:
    told = f"{file}:{line}: imports upwards: {other}"
    return Breach(file=file, source=source, told=told)


BREACHES = [
    _upward("schemas/more.py", "import components.sequence", "components.sequence"),
    _upward("components/masking.py", "from components.train import loss", "components.train.loss"),
    _upward("components/masking.py", "from components import train", "components.train"),
    _upward("components/masking.py", "from .train.loss import x", "components.train.loss"),
    _upward("components/train/a.py", "from pipeline.config import Config", "pipeline.config"),
    _upward("components/train/a.py", "import pipeline", "pipeline"),
    _upward("components/train/__init__.py", "from ...pipeline import config", "pipeline.config"),
    _upward("components/train/a.py", "if x:\n  def f(): import pipeline.dag", "pipeline.dag", 2),
    _upward("components/train/a.py", "run('-m', 'pipeline.runner')", "pipeline.runner"),
    _upward("pipeline/config.py", "from pipeline import dag", "pipeline.dag"),
    _upward("pipeline/config.py", "from pipeline.synth import write", "pipeline.synth"),
    _upward("pipeline/dag.py", "from . import runner\nRUN = ''", "pipeline.runner"),
    _upward("pipeline/__init__.py", "from pipeline.runner import run", "pipeline.runner"),
    _upward("pipeline/report.py", "from pipeline.__main__ import main", "pipeline.__main__"),
    _between("components/push/a.py", "from components.train import loss", "components.train.loss"),
    _between("components/push/__init__.py", "from ..train.loss import f", "components.train.loss"),
    _between("components/push/a.py", "\nimport components.train", "components.train", 2),
    _between("components/push/a.py", "fn = 'components.train.loss.f'", "components.train.loss"),
    Breach(file="pipeline/__init__.py", source=None, told="pipeline: has no __init__.py"),
    Breach(
        file="components/train/layers/lstm.py",
        source="",
        told="components/train/layers: has no __init__.py",
    ),
    Breach(
        file="pipeline/pipeline.py",
        source="",
        told="pipeline/pipeline.py: bears its package's name",
    ),
    Breach(
        file="components/train/train/__init__.py",
        source="",
        told="components/train/train/__init__.py: bears its package's name",
    ),
    Breach(
        file="components/train/loss.py",
        source="#\n" * MOST_LINES,
        told="components/train/loss.py: 400 lines, expected under 400",
    ),
    Breach(
        file="docs/generate.py",
        source="#\n" * MOST_LINES,
        told="docs/generate.py: 400 lines, expected under 400",
    ),
    Breach(
        file="components/train/run_fn.py",
        source="def f():\n    class Model: pass",
        told="components/train/run_fn.py:2: defines a class: Model",
    ),
    Breach(
        file="components/push/check.py",
        source="'''sequence_id'''\nx['length_bucket']",
        told="components/push/check.py:2: spells the key 'length_bucket'",
    ),
    Breach(
        file="components/push/check.py",
        source="def f():\n    '''entity_id'''\n    'entity_id'",
        told="components/push/check.py:3: spells the key 'entity_id'",
    ),
]


def _plant(top: pathlib.Path, files: dict[str, str]) -> list[str]:
    """Writes a tree and returns what all rules say of it."""
    for file, source in files.items():
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).write_text(source, encoding="utf-8")
    return [sentence for rule in RULES for sentence in rule(top)]


def test_a_sound_tree_has_no_breach(tmp_path: pathlib.Path) -> None:
    assert _plant(tmp_path, SOUND) == []


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.told)
def test_a_breach_is_seen(tmp_path: pathlib.Path, breach: Breach) -> None:
    files = SOUND | {breach.file: breach.source}
    files = {file: source for file, source in files.items() if source is not None}
    assert _plant(tmp_path, files) == [breach.told]


def test_one_line_less_than_the_limit_is_no_breach(tmp_path: pathlib.Path) -> None:
    assert _plant(tmp_path, SOUND | {"pipeline/report.py": "#\n" * (MOST_LINES - 1)}) == []
