"""Hold the rules of layout by a walk over the source, and show that the walk sees a breach.

Imports go one way, `ragline.` left out:

    schemas <- components.contract <- components.files <- components.runtime <- components.serving
            <- components.<stage> <- pipeline.config, pipeline.run_facts <- pipeline.dag
            <- the rest of pipeline <- pipeline.cli <- ragline itself

An import inside a function counts as any other, and so does a dotted name in a string, by which TFX
and `python -m` are given a module.
"""

import ast
import functools
import pathlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ragline.components.contract import columns

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "components", "pipeline")
MOST_LINES = 400
MOST_MODULES = 12

KEYS_HOME = "ragline.components.contract.columns"
# Only keys that are no word of their own: `length` or `time` in a string may mean anything.
KEYS = {
    columns.SEQUENCE_ID,
    columns.ENTITY_ID,
    columns.LENGTH_BUCKET,
    columns.MISSING_BUCKET,
}
# It plays the outside world: its records are raw files, and a TypedDict wants its keys spelt out.
MAY_SPELL_KEYS = {KEYS_HOME, "ragline.pipeline.demo.synth"}

SHARED_FLOORS = ("contract", "files", "runtime", "serving")
# By the longest name that a module's begins with.
FLOORS = {
    "ragline.schemas": 0,
    "ragline.components": 3,  # Its __init__.py installs a shim of runtime.
    **{f"ragline.components.{name}": 1 + place for place, name in enumerate(SHARED_FLOORS)},
    "ragline.pipeline": 6,
    "ragline.pipeline.config": 6,
    "ragline.pipeline.run_facts": 6,
    "ragline.pipeline.dag": 7,
    "ragline.pipeline.cli": 9,
    "ragline": 10,
}
STAGE_FLOOR, PIPELINE_FLOOR = 5, 8


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


@functools.cache  # Every rule walks over the same source.
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def _modules(top: pathlib.Path) -> dict[str, Module]:
    modules_by_name = {}
    places = [path for package in PACKAGES for path in (top / package).rglob("*.py")]
    for path in sorted([*places, *(top / "ragline").glob("*.py")]):
        parts = path.relative_to(top).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        name = ".".join(parts if parts[0] == "ragline" else ("ragline", *parts))
        modules_by_name[name] = Module(
            name=name,
            path=path,
            place=path.relative_to(top).as_posix(),
            tree=_parsed(path.read_text(encoding="utf-8")),
        )
    return modules_by_name


def _stage(name: str, modules: dict[str, Module]) -> str | None:
    """`ragline.components.train` of `ragline.components.train.objective.loss`, or None."""
    _, package, *rest = (*name.split("."), "")
    if package != "components" or not rest[0] or rest[0] in SHARED_FLOORS:
        return None
    return f"ragline.components.{rest[0]}"


def _floor(name: str, modules: dict[str, Module]) -> int:
    if _stage(name, modules):
        return STAGE_FLOOR
    parts = name.split(".")
    prefixes = [".".join(parts[:end]) for end in range(len(parts), 1, -1)]
    known = next((prefix for prefix in prefixes if prefix in FLOORS), "ragline")
    # `import ragline.pipeline.x` runs pipeline/__init__.py first, which stands below them all.
    inner = known == "ragline.pipeline" and name != known
    return PIPELINE_FLOOR if inner else FLOORS[known]


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
            if (imported := _known(name, modules)) and imported != module.name:
                yield node.lineno, imported


def _is_dotted_name(text: str) -> bool:
    return re.fullmatch(rf"ragline\.({'|'.join(PACKAGES)})(\.\w+)+", text) is not None


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
    """The modules that pipeline/dag.py names to TFX, which reloads them."""
    modules = _modules(top)
    strings = (
        node.value
        for node in ast.walk(modules["ragline.pipeline.dag"].tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    dotted = {_known(text, modules) for text in strings if _is_dotted_name(text)}
    return {name for name in dotted if name}


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


def big_folders(top: pathlib.Path) -> Iterator[str]:
    folders = [module.path.parent for module in _modules(top).values() if not module.is_package]
    benchmarks = (top / "benchmarks").rglob("*.py")
    folders += [path.parent for path in benchmarks if path.name != "__init__.py"]
    for folder in sorted(set(folders)):
        if folders.count(folder) > MOST_MODULES:
            place = folder.relative_to(top).as_posix()
            yield f"{place}: {folders.count(folder)} modules, expected at most {MOST_MODULES}"


def packages_that_list_other_modules(top: pathlib.Path) -> Iterator[str]:
    """A package's docstring lists its modules (`name.py  what`) and packages (`name/  what`)."""
    for package in _modules(top).values():
        if package.is_package and package.name not in ("ragline", "ragline.schemas"):
            text = ast.get_docstring(package.tree) or ""
            listed = set(re.findall(r"^ *(\w+(?:\.py|/))  ", text, re.MULTILINE))
            folder = package.path.parent
            there = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
            there |= {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
            for name in sorted(there - listed):
                yield f"{package.place}: does not list {name}"
            for name in sorted(listed - there):
                yield f"{package.place}: lists {name}, which is not there"


def files_that_are_not_there(top: pathlib.Path) -> Iterator[str]:
    """A file that a docstring, a comment or a page names, such as `padding/strategies.py`."""
    folders = (*PACKAGES, "ragline", "docs", "benchmarks", "examples", "tests")
    there = {
        f"/{path.relative_to(top).as_posix()}"
        for folder in folders
        for path in (top / folder).rglob("*.py")
    }
    texts = [module.path for module in _modules(top).values()]
    texts += [*(top / "docs").glob("*.md"), *top.glob("README.md")]
    for path in texts:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for name in re.findall(r"(?<![\w/.<>*-])((?:\w+/)*\w+\.py)\b", line):
                if not any(file.endswith(f"/{name}") for file in there):
                    place = path.relative_to(top).as_posix()
                    yield f"{place}:{number}: names {name}, which is not there"


def imports_by_the_names_of_folders(top: pathlib.Path) -> Iterator[str]:
    """A checkout's folders are at hand under short names: another copy of each module."""
    folders = (*PACKAGES, "ragline", "docs", "benchmarks", "examples", "tests")
    for path in sorted(path for folder in folders for path in (top / folder).rglob("*.py")):
        for node in ast.walk(_parsed(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                if name.partition(".")[0] in PACKAGES:
                    place = path.relative_to(top).as_posix()
                    yield f"{place}:{node.lineno}: imports {name}, expected ragline.{name}"


RULES = (
    upward_imports,
    imports_between_stages,
    folders_that_are_no_package,
    names_of_their_package,
    long_modules,
    classes_in_reloaded_modules,
    spelt_keys,
    big_folders,
    packages_that_list_other_modules,
    files_that_are_not_there,
    imports_by_the_names_of_folders,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Callable[[pathlib.Path], Iterator[str]]) -> None:
    assert list(rule(ROOT)) == []


def test_the_walk_sees_the_source() -> None:
    modules = _modules(ROOT)
    stages = {_stage(name, modules) for name in modules} - {None}
    assert stages == {
        f"ragline.components.{stage}"
        for stage in ("ingest", "validate", "transform", "train", "evaluate", "push", "export")
    }
    seen = {(name, other) for name in modules for _, other in _imported(modules[name], modules)}
    assert {
        ("ragline.components.contract.columns", "ragline.schemas"),
        ("ragline.components.train.loop.training", "ragline.components.train.loop.fit_loop"),
        # A string, for `python -m`.
        (
            "ragline.components.push.contract.check",
            "ragline.components.push.contract.clean_process",
        ),
        ("ragline.pipeline.runs.runner", "ragline.pipeline.dag"),  # Inside a function.
        ("ragline.__main__", "ragline.pipeline.cli.main"),
    } <= seen


def test_the_modules_that_tfx_reloads_are_these() -> None:
    assert given_by_dotted_name(ROOT) == {
        "ragline.components.transform.preprocessing",
        "ragline.components.train.run_fn",
        "ragline.components.train.tuner_fn",
    }


# The negative control: a small tree that keeps every rule, and each breach of one.

SOUND = {
    "schemas/__init__.py": '"""sequence_id"""',
    "components/__init__.py": '"""\nruntime/  a\ncontract/  a\ntrain/  a\npush/  a\n"""\n'
    "from ragline.components.runtime import shim",
    "components/runtime/__init__.py": '"""\nshim.py  a\n"""',
    "components/runtime/shim.py": "import json",
    "components/contract/__init__.py": '"""\ncolumns.py  a\n"""',
    "components/contract/columns.py": "from ragline import schemas\nSEQUENCE_ID = 'sequence_id'",
    "components/train/__init__.py": '"""Stage 4.\n\nloss.py    a\nrun_fn.py  a\n"""',
    "components/train/loss.py": "from ragline.components.contract.columns import SEQUENCE_ID",
    "components/train/run_fn.py": "from . import loss\nfrom ..contract.columns import SEQUENCE_ID",
    "components/push/__init__.py": '"""\ncheck.py  a\n"""',
    "components/push/check.py": "print('not sequence_id alone')",
    "pipeline/__init__.py": '"""A\n\nconfig.py  a\ndag.py  a\ndemo/  a\nruns/  a\ncli/  a\n"""',
    "pipeline/config.py": "from ragline.components.train import loss",
    "pipeline/dag.py": "from ragline.pipeline import config\n"
    "RUN = 'ragline.components.train.run_fn.run_fn'",
    "pipeline/demo/__init__.py": '"""\nsynth.py  a\n"""',
    "pipeline/demo/synth.py": "KEY = 'entity_id'",
    "pipeline/runs/__init__.py": '"""\nrunner.py  a\n"""',
    "pipeline/runs/runner.py": "def run():\n    from ragline.pipeline import dag\n    import json",
    "pipeline/cli/__init__.py": '"""\nmain.py  a\n"""',
    "pipeline/cli/main.py": "import ragline.pipeline.runs.runner as runner, sys",
    "ragline/__init__.py": '"""Ours."""',
    "ragline/__main__.py": "from ragline.pipeline.cli import main",
    "docs/page.md": "`train/loss.py` and `check.py`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A file put into the sound tree, and the one sentence that must follow."""

    file: str
    source: str
    told: str


def _between(file: str, source: str, other: str, line: int = 1) -> Breach:
    told = f"{file}:{line}: a stage imports another stage: ragline.{other}"
    return Breach(file=file, source=source, told=told)


def _upward(file: str, source: str, other: str, line: int = 1) -> Breach:
    told = f"{file}:{line}: imports upwards: {f'ragline.{other}' if other else 'ragline'}"
    return Breach(file=file, source=source, told=told)


_LOSS = "components.train.loss"
_COLUMNS, _TRAIN, _CHECK = (
    f"components/{name}.py" for name in ("contract/columns", "train/loss", "push/check")
)
_PUSH = "components/push/__init__.py"
_LISTED = '"""\ncheck.py  a\n"""\n'
BREACHES = [
    _upward("schemas/__init__.py", f"import ragline.{_LOSS}", _LOSS),
    _upward(_COLUMNS, f"from ragline.{_LOSS} import x", _LOSS),
    _upward(_COLUMNS, "from ragline.components import train", "components.train"),
    _upward(_COLUMNS, "from ..train.loss import x", _LOSS),
    _upward(_COLUMNS, "from ragline.components.runtime import shim", "components.runtime.shim"),
    _upward(_TRAIN, "from ragline.pipeline.config import Config", "pipeline.config"),
    _upward(_TRAIN, "import ragline.pipeline", "pipeline"),
    _upward(_TRAIN, "import ragline", ""),
    _upward(_PUSH, f"{_LISTED}from ...pipeline import config", "pipeline.config", 4),
    _upward(_TRAIN, "if x:\n  def f(): import ragline.pipeline.dag", "pipeline.dag", 2),
    _upward(_TRAIN, "run('-m', 'ragline.pipeline.runs.runner')", "pipeline.runs.runner"),
    _upward("pipeline/config.py", "from ragline.pipeline import dag", "pipeline.dag"),
    _upward("pipeline/config.py", "from .demo.synth import write", "pipeline.demo.synth"),
    _upward("pipeline/dag.py", "from .runs import runner\nRUN = ''", "pipeline.runs.runner"),
    _upward("pipeline/runs/runner.py", "from ..cli.main import main", "pipeline.cli.main"),
    _between(_CHECK, f"from ragline.{_LOSS} import x", _LOSS),
    _between(_PUSH, f"{_LISTED}from ..train.loss import f", _LOSS, 4),
    _between(_CHECK, "\nimport ragline.components.train", "components.train", 2),
    _between(_CHECK, f"fn = 'ragline.{_LOSS}.f'", _LOSS),
    Breach(
        file="components/train/layers/lstm.py",
        source="",
        told="components/train/layers: has no __init__.py",
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
    Breach(
        file="components/push/probes.py",
        source="",
        told="components/push/__init__.py: does not list probes.py",
    ),
    Breach(
        file=_PUSH,
        source='"""\ncheck.py  a\nlost/  a\n"""',
        told="components/push/__init__.py: lists lost/, which is not there",
    ),
    Breach(
        file="docs/page.md",
        source="\n`train/check.py`",
        told="docs/page.md:2: names train/check.py, which is not there",
    ),
    Breach(
        file="components/push/check.py",
        source="# See lost.py.",
        told="components/push/check.py:1: names lost.py, which is not there",
    ),
    Breach(
        file="tests/test_x.py",
        source="from components.train import loss",
        told="tests/test_x.py:1: imports components.train, expected ragline.components.train",
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
    assert _plant(tmp_path, SOUND | {breach.file: breach.source}) == [breach.told]


def test_a_module_that_bears_its_packages_name_is_seen(tmp_path: pathlib.Path) -> None:
    (tmp_path / "components" / "train").mkdir(parents=True)
    (tmp_path / "components" / "train" / "train.py").write_text("")
    assert list(names_of_their_package(tmp_path)) == [
        "components/train/train.py: bears its package's name"
    ]


def test_a_folder_of_too_many_modules_is_seen(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "pipeline" / "runs"
    folder.mkdir(parents=True)
    for number in range(MOST_MODULES):
        (folder / f"a{number}.py").write_text("")
    assert list(big_folders(tmp_path)) == []
    (folder / "b.py").write_text("")
    assert list(big_folders(tmp_path)) == ["pipeline/runs: 13 modules, expected at most 12"]


def test_one_line_less_than_the_limit_is_no_breach(tmp_path: pathlib.Path) -> None:
    short = "#\n" * (MOST_LINES - 1)
    assert _plant(tmp_path, SOUND | {"pipeline/runs/runner.py": short}) == []
