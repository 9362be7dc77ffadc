"""Encoders, decoders and types of heads are known by their classes alone: no name is compared."""

import ast
import pathlib
from collections.abc import Iterator

import pytest

from ragline.components.train import decoders, encoders, terms

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN = tuple(f"components/train/{name}/" for name in ("encoders", "decoders", "terms"))
NAMES = {*encoders.ENCODERS.own, *decoders.DECODERS.own, *terms.TERMS.own}


def named(source: str) -> Iterator[str]:
    """Each comparison with a name, and each table of several names, by its line."""
    for node in ast.walk(ast.parse(source)):
        is_comparison = isinstance(node, ast.Compare | ast.MatchValue)
        if is_comparison:
            parts = [*ast.walk(node)]
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            parts = node.elts
        else:
            parts = [key for key in node.keys if key] if isinstance(node, ast.Dict) else []
        words = {part.value for part in parts if isinstance(part, ast.Constant)}
        names = sorted(NAMES & {word for word in words if isinstance(word, str)})
        if len(names) > 1 or (is_comparison and names):
            yield f"line {node.lineno}: {', '.join(names)}"


def test_no_module_compares_a_name() -> None:
    breaches = [
        f"{place}: {line}"
        for folder in ("components", "pipeline", "schemas", "ragline")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not (place := path.relative_to(ROOT).as_posix()).startswith(OWN)
        for line in named(path.read_text(encoding="utf-8"))
    ]
    assert breaches == []


@pytest.mark.parametrize(
    "breach",
    [
        "if options.encoder == 'gru': pass",
        "x = 'teacher' != name",
        "if head.type in ('classification', 'regression'): pass",
        "Encoder = Literal['lstm', 'tcn']",
        "gates = {'lstm': 4, 'gru': 3}[name]",
        "match name:\n    case 'regression': pass",
    ],
)
def test_a_comparison_is_seen(breach: str) -> None:
    assert len(list(named(breach))) >= 1


def test_a_word_alone_is_no_comparison() -> None:
    assert list(named("x: str = 'lstm'\ntypes = ('classification',)\nx == 'auto'")) == []
