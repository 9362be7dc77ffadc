"""The page of data formats lists every code of a record and of bad data, its fate, and no other.

The codes are found in the source: whatever is given for a parameter `code`, traced back to the
strings that it can be. What cannot be traced fails the test, so none is overlooked.
"""

import ast
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ragline.components.ingest.records import checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
# Callable -> the place of `code` among its arguments, and the fate of what is given there.
TAKERS = {
    "RejectedRecord": (0, "Q"),
    "QuarantineLine": (None, "Q"),
    "refusals.add": (0, "Q"),
    "constant": (0, "Q"),
    "_Constant": (None, "Q"),
    "chunk.rejected": (1, "Q"),
    "self._chunk.rejected": (1, "Q"),
    "BadDataError": (0, "A"),
}


@dataclass
class Found:
    """Code -> fates; and the arguments that could not be traced."""

    fates: dict[str, set[str]] = field(default_factory=dict)
    untraced: list[str] = field(default_factory=list)


def codes_of(sources: dict[str, str]) -> Found:
    """The codes in some modules, by their names."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    constants = {name: _assigned(tree.body) for name, tree in trees.items()}
    # A module is imported under the last part of its name.
    constants |= {name.rpartition(".")[2]: names for name, names in constants.items()}
    codes = Found()
    for name, tree in trees.items():
        for call, inside in _calls(tree, ()):
            taker = _taker(call)
            if taker is None:
                continue
            place, fate = TAKERS[taker]
            arguments = [word.value for word in call.keywords if word.arg == "code"]
            arguments += call.args[place : place + 1] if place is not None else []
            for argument in arguments:
                if _is_handed_on(argument, inside):
                    continue
                for code in _strings(argument, inside, constants, name):
                    if code is None:
                        codes.untraced.append(f"{name}: {ast.unparse(argument)}")
                    else:
                        codes.fates.setdefault(code, set()).add(fate)
    return codes


def _calls(
    node: ast.AST, inside: tuple[ast.FunctionDef, ...]
) -> Iterator[tuple[ast.Call, tuple[ast.FunctionDef, ...]]]:
    """All calls, each with the functions that it stands in."""
    if isinstance(node, ast.Call):
        yield node, inside
    if isinstance(node, ast.FunctionDef):
        inside = (*inside, node)
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, inside)


def _taker(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    a_class = re.sub(r".*\.(?=[A-Z])", "", name)
    return a_class if a_class in TAKERS else None


def _is_handed_on(argument: ast.expr, inside: tuple[ast.FunctionDef, ...]) -> bool:
    """Whether it is the code of another rejection, which is found where that is made."""
    parameters = {arg.arg for function in inside for arg in function.args.args}
    return (
        (isinstance(argument, ast.Attribute) and argument.attr == "code")
        or (isinstance(argument, ast.Subscript) and ast.unparse(argument.slice) == "'code'")
        or (isinstance(argument, ast.Name) and argument.id == "code" and "code" in parameters)
        or isinstance(argument, ast.Starred)
    )


def _strings(
    value: ast.expr,
    inside: tuple[ast.FunctionDef, ...],
    constants: dict[str, dict[str, list[ast.expr]]],
    module: str,
) -> Iterator[str | None]:
    """The strings that an expression can be; None for one that cannot be traced."""
    assigned: list[ast.expr] = []
    match value:
        case ast.Constant(value=str(text)):
            yield text
            return
        case ast.IfExp(body=body, orelse=other):
            assigned = [body, other]
        case ast.Attribute(value=ast.Name(id=other), attr=name):
            inside, module = (), other
            assigned = constants.get(other, {}).get(name, [])
        case ast.Name(id=name):
            known = [_assigned(ast.walk(function)) for function in inside]
            assigned = [
                each for names in (*known, constants[module]) for each in names.get(name, [])
            ]
    if not assigned:
        yield None
    for each in assigned:
        yield from _strings(each, inside, constants, module)


def _assigned(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    """Name -> what is assigned to it, by pairs too, and by a loop over pairs that are spelt out."""
    assigned: dict[str, list[ast.expr]] = {}

    def assign(target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for inner, part in zip(target.elts, value.elts, strict=True):
                assign(inner, part)
        elif isinstance(target, ast.Name):
            assigned.setdefault(target.id, []).append(value)

    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                assign(target, node.value)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
            for value in node.iter.elts:
                assign(node.target, value)
    return assigned


def test_the_page_lists_every_code_with_its_fate_and_no_other() -> None:
    paths = {path for top in ("components", "pipeline") for path in (ROOT / top).rglob("*.py")}
    paths.remove(ROOT / "pipeline" / "python" / "calls.py")  # It hands on what a run has said.
    sources = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in paths
    }
    codes = codes_of(sources)
    assert codes.untraced == []
    assert len(paths) > 300
    section = PAGE.partition("\n### Codes\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([QA, ]+) \| \S.* \|$", section, re.MULTILINE)
    listed = {code: set(fates.split(", ")) for code, fates in rows}
    assert listed == codes.fates
    assert [code for code, _ in rows] == sorted(codes.fates)


def test_the_contract_in_the_source_lists_every_code_of_a_record() -> None:
    contract = re.findall(r"^    (\w+(?:, \w+)*)  ", checks.__doc__, re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| Q", PAGE, re.MULTILINE)
    assert sorted(", ".join(contract).split(", ")) == rows


@pytest.mark.parametrize(
    ("source", "fates"),
    [
        ("RejectedRecord('a', 'b')", {"a": {"Q"}}),
        ("raise BadDataError('a', 'b')\nRejectedRecord('a', 'b')", {"a": {"A", "Q"}}),
        ("QuarantineLine(number=1, code='a')", {"a": {"Q"}}),
        ("refusals.add('a', record, places, detail)", {"a": {"Q"}}),
        ("faults.add(cells, reject)", {}),
        ("def f(x):\n    y = 'a' if x else 'b'\n    raise RejectedRecord(y, '')",
         {"a": {"Q"}, "b": {"Q"}}),
        ("def f():\n    for x, y in (('a', 1), ('b', 2)):\n        BadDataError(x)",
         {"a": {"A"}, "b": {"A"}}),
        ("A = 'a'\ndef f():\n    RejectedRecord(A, '')", {"a": {"Q"}}),
        ("RejectedRecord(other.A, '')", {"o": {"Q"}}),
        ("QuarantineLine(code=reject.code)", {}),
        ("def f(code):\n    RejectedRecord(code, '')", {}),
    ],
)  # fmt: skip
def test_codes_are_found_however_they_are_given(source: str, fates: dict[str, set[str]]) -> None:
    codes = codes_of({"m": source, "other": "A = 'o'"})
    assert (codes.fates, codes.untraced) == (fates, [])


@pytest.mark.parametrize(
    "source",
    [
        "RejectedRecord(f(), '')",
        "BadDataError(x)",
        "RejectedRecord(m.A, '')",
        "x = 'a' if y else f()\nRejectedRecord(x, '')",
        "def f():\n    x = 'a'\n    x = g()\n    RejectedRecord(x, '')",
    ],
)
def test_a_code_that_cannot_be_traced_is_told(source: str) -> None:
    assert len(codes_of({"m": source}).untraced) == 1
