"""What the source must not do, what must be installed, and a run from which nothing calls out."""

import ast
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator

import cut_off
import pytest
from commands import ROOT, python
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

# Why each, and what it is known by: docs/reliability.md.
FLOORS = {"protobuf": "6.33.5", "pyarrow": "14.0.1", "keras": "3.15.0"}
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
MODULES |= {"pyarrow.ipc", "pyarrow.feather"}  # CVE-2026-25087
CALLS = {"eval", "exec", "os.system", "os.popen"}
CALLS |= {"keras.models.load_model", "keras.saving.load_model"}  # They run what a file says.
# Arguments that must have this value wherever they are given.
SAFE = {"allow_pickle": False, "shell": False, "safe_mode": True}


def breaches(source: str) -> Iterator[str]:
    """What stands in a module and must not."""
    for node in ast.walk(ast.parse(source)):
        imported = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
        for name in imported:
            if name in MODULES or name.partition(".")[0] in MODULES:
                yield f"{node.lineno}: imports {name}"
        if isinstance(node, ast.Call):
            if (name := ast.unparse(node.func)) in CALLS:
                yield f"{node.lineno}: calls {name}"
            for keyword in node.keywords:
                safe = SAFE.get(keyword.arg)
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if safe is not None and value is not safe:
                    yield f"{node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}"


def test_our_source_unpickles_evaluates_and_shells_nothing():
    tops = ("components", "pipeline", "schemas", "ragline", "docs")
    files = [file for top in tops for file in (ROOT / top).rglob("*.py")]
    assert len(files) > 50
    calls = {
        str(file.relative_to(ROOT)): lines
        for file in files
        if (lines := list(breaches(file.read_text(encoding="utf-8"))))
    }
    assert calls == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import safe_load",
        "def f():\n  import cloudpickle.compat",
        "from pyarrow import ipc",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
        "subprocess.run(c, shell=True)",
        "os.system('ls')",
        "x = [eval(y) for y in z]",
        "keras.saving.load_model(path)",
        "load(path, safe_mode=False)",
    ],
)
def test_a_breach_is_seen(source):
    assert len(list(breaches(source))) >= 1


def test_what_is_safe_is_no_breach():
    source = "np.load(f, allow_pickle=False)\nsubprocess.run([c], shell=False)\nmodel.eval_()"
    assert list(breaches(source)) == []


@pytest.mark.parametrize("package", FLOORS)
def test_the_security_floors_are_declared_pinned_and_installed(package):
    floor = Version(FLOORS[package])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    overrides = project["tool"]["uv"]["override-dependencies"]
    declared = [Requirement(line) for line in project["project"]["dependencies"] + overrides]
    mine = [requirement for requirement in declared if requirement.name == package]
    assert mine, "pyproject.toml names it"
    for requirement in mine:
        [least] = [spec.version for spec in requirement.specifier if spec.operator == ">="]
        assert Version(least) >= floor
    pins = re.findall(
        rf"^{package}==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
    assert [Version(pin) >= floor for pin in pins] == [True]
    assert canonicalize_name(package) == package
    assert Version(importlib.metadata.version(package)) >= floor


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.socket().connect(('192.0.2.1', 80))",
        "import urllib.request; urllib.request.urlopen('https://example.org', timeout=1)",
    ],
)
def test_the_wall_holds(tmp_path, code):
    done = python("-c", code, env=cut_off.environment(tmp_path))
    assert done.returncode == 1
    assert "refused by a test" in done.stderr
    assert cut_off.calls(tmp_path)
