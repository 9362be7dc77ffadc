"""A format is known by its class alone: nothing outside its folder compares its name."""

import ast
import pathlib
from collections.abc import Iterator

import pytest

from ragline.components.ingest import formats

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Its modules, and those that take a sample for them.
OWN = ("components/ingest/formats/", "components/ingest/samples/")


def named(source: str) -> Iterator[str]:
    """Each comparison with a format's name, and each table of several names, by its line."""
    for node in ast.walk(ast.parse(source)):
        is_comparison = isinstance(node, ast.Compare | ast.MatchValue)
        if is_comparison or isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            words = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            names = sorted(
                {*formats.FORMATS.own} & {word for word in words if isinstance(word, str)}
            )
            if len(names) > 1 or (is_comparison and names):
                yield f"line {node.lineno}: {', '.join(names)}"


def test_no_module_compares_the_name_of_a_format() -> None:
    comparisons = [
        f"{place}: {line}"
        for folder in ("components", "pipeline", "schemas", "ragline")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not (place := path.relative_to(ROOT).as_posix()).startswith(OWN)
        for line in named(path.read_text(encoding="utf-8"))
    ]
    assert comparisons == []


@pytest.mark.parametrize(
    "breach",
    [
        "if file.format == 'csv': pass",
        "x = 'ts' != name",
        "if name in ('csv', 'ts'): pass",
        "TABLES = ('csv', 'jsonl')",
        "SUFFIXES = {'.csv': 'csv', '.x': 'xes'}",
        "match name:\n    case 'avro': pass",
    ],
)
def test_a_comparison_is_seen(breach: str) -> None:
    assert len(list(named(breach))) >= 1


def test_a_word_alone_is_no_comparison() -> None:
    assert list(named("WORDS = {'t', 'time', 'ts'}\nprint('csv')\nx.format == 'auto'")) == []
