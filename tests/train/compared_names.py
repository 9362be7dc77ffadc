"""Find where a source compares a name of a registry, or lists several of them."""

import ast
import pathlib
from collections.abc import Iterator, Set

from commands import ROOT


def named(source: str, names: Set[str], *, tables: bool = True) -> Iterator[str]:
    """Each comparison with a name, and each table of several names, by its line."""
    for node in ast.walk(ast.parse(source)):
        is_comparison = isinstance(node, ast.Compare | ast.MatchValue)
        if is_comparison:
            parts = [*ast.walk(node)]
        elif not tables:
            continue
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            parts = node.elts
        else:
            parts = [key for key in node.keys if key] if isinstance(node, ast.Dict) else []
        words = {part.value for part in parts if isinstance(part, ast.Constant)}
        used = sorted(names & {word for word in words if isinstance(word, str)})
        if len(used) > 1 or (is_comparison and used):
            yield f"line {node.lineno}: {', '.join(used)}"


def breaches(names: Set[str], own: tuple[str, ...], *, tables: bool = True) -> list[str]:
    """The lines of our source that name them, outside the folders that may."""
    files: list[pathlib.Path] = [
        path
        for folder in ("components", "pipeline", "schemas", "ragline")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(own)
    ]
    return [
        f"{path.relative_to(ROOT)}: {line}"
        for path in files
        for line in named(path.read_text(encoding="utf-8"), names, tables=tables)
    ]
