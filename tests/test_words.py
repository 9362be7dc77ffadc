"""Names say what they hold: those that say only how it came are not in the source."""

import ast
import pathlib

from commands import ROOT

PRIVATE = {"found", "told", "asked", "settle"}


def private_names(folder: pathlib.Path) -> list[str]:
    """Each place where a variable or a parameter has a name that says nothing of its content."""
    places = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = None
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            if name in PRIVATE:
                places.append(f"{file.relative_to(folder)}:{node.lineno}: {name}")
    return places


def test_the_source_has_no_private_names():
    for folder in ("components", "pipeline", "benchmarks", "docs"):
        assert private_names(ROOT / folder) == []


def test_a_private_name_is_seen(tmp_path):
    (tmp_path / "a.py").write_text("found = 1\n\n\ndef f(told):\n    return found + told\n")
    assert private_names(tmp_path) == ["a.py:1: found", "a.py:4: told"]
