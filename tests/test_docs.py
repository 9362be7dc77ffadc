"""Tests of the pages that are written from the source: they are not stale, and say all there is."""

import dataclasses
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
from typing import Literal, get_args

import pytest

from ragline.pipeline.config import Config, ConfigError, load

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
SCRIPT = DOCS / "generate_config.py"
PAGE = (DOCS / "config.md").read_text(encoding="utf-8")
VERDICT_PAGE = (DOCS / "verdict.md").read_text(encoding="utf-8")
FORMATS_PAGE = (DOCS / "ingest.md").read_text(encoding="utf-8")
PADDING_PAGE = (DOCS / "padding.md").read_text(encoding="utf-8")
ENCODERS_PAGE = (DOCS / "extending.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(SCRIPT))


@dataclasses.dataclass
class Part:
    """A table below.

    Attributes:
      deep: not shown above.
    """

    deep: int


@dataclasses.dataclass
class Sample:
    """A table.

    Attributes:
      must: what is
        long, and
        longer.
      word: `a` | `b`.
      maybe: a number.
      several: some texts.
      listed: integers.
      part: another table.
      parts: several tables.
      flag: last.

    Further down, other: text that is no attribute.
    """

    must: str
    word: Literal["a", "b"] = "b"
    maybe: float | None = None
    several: tuple[str, ...] = ("x", "y")
    listed: tuple[int, ...] = dataclasses.field(default_factory=lambda: (1,))
    part: Part = dataclasses.field(default_factory=lambda: Part(deep=1))
    parts: tuple[Part, ...] = ()
    flag: bool = True


def test_the_page_is_what_the_docstrings_say_now(script: dict) -> None:
    assert script["render"]() == PAGE, "stale: run `python docs/generate_config.py`"
    assert script["render_verdict"]() == VERDICT_PAGE, "stale, too"
    assert script["render_formats"](FORMATS_PAGE) == FORMATS_PAGE, "stale, too"
    assert script["render_padding"](PADDING_PAGE) == PADDING_PAGE, "stale as well"
    assert script["render_encoders"](ENCODERS_PAGE) == ENCODERS_PAGE, "and stale"


def test_the_script_writes_the_page_beside_itself(tmp_path: pathlib.Path) -> None:
    copy = shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "config.md").write_text("old", encoding="utf-8")
    stale = FORMATS_PAGE.replace("| event logs: `.xes` | `xes` | a trace | |\n", "")
    assert stale != FORMATS_PAGE
    (tmp_path / "ingest.md").write_text(stale, encoding="utf-8")
    (tmp_path / "padding.md").write_text(PADDING_PAGE.replace("| `remask` |", "|"), "utf-8")
    (tmp_path / "extending.md").write_text(ENCODERS_PAGE.replace("| `tcn` |", "|"), "utf-8")
    subprocess.run([sys.executable, copy], check=True)
    assert (tmp_path / "config.md").read_text(encoding="utf-8") == PAGE
    assert (tmp_path / "verdict.md").read_text(encoding="utf-8") == VERDICT_PAGE
    assert (tmp_path / "ingest.md").read_text(encoding="utf-8") == FORMATS_PAGE
    assert (tmp_path / "padding.md").read_text(encoding="utf-8") == PADDING_PAGE
    assert (tmp_path / "extending.md").read_text(encoding="utf-8") == ENCODERS_PAGE


def test_every_key_has_one_row_in_its_table() -> None:
    _, top, *tables = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    shown = {"": re.findall(r"^\| `(\w+)` \|", top, re.MULTILINE)}
    for table in tables:
        name = re.match(r"`\[+([\w.]+)\]+`: ", table)[1]
        shown[name] = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    expected: dict[str, list[str]] = {}

    def expect(name: str, of: type) -> None:
        expected[name] = []
        for field in dataclasses.fields(of):
            tables = [t for t in (field.type, *get_args(field.type)) if dataclasses.is_dataclass(t)]
            for table in tables:
                expect(f"{name}.{field.name}".lstrip("."), table)
            if not tables:
                expected[name].append(field.name)

    expect("", Config)
    assert "input.steps" in shown
    assert shown == expected


def test_the_five_keys_are_keys_with_defaults() -> None:
    """`quarantine.max_share` is `max_share` of the table that `quarantine` is."""
    [table] = re.findall(r"^### The five keys.*?\n(\|.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    keys = re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)
    assert len(keys) == 5
    for key in keys:
        of: type = Config
        *tables, last = key.split(".")
        for name in tables:
            [of] = [field.type for field in dataclasses.fields(of) if field.name == name]
        [field] = [field for field in dataclasses.fields(of) if field.name == last]
        assert field.default is not dataclasses.MISSING, key


def test_the_smallest_configuration_of_the_page_loads(tmp_path: pathlib.Path) -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "c.toml").write_text(example, encoding="utf-8")
    assert load(tmp_path / "c.toml").input.train == str(tmp_path / "data" / "*.jsonl")
    for line in filter(lambda line: "=" in line, example.splitlines()):
        (tmp_path / "c.toml").write_text(example.replace(line, ""), encoding="utf-8")
        with pytest.raises(ConfigError, match="expected a value, received none"):
            load(tmp_path / "c.toml")


def test_types_and_defaults_are_shown_as_toml(script: dict) -> None:
    assert list(script["rows"](Sample)) == [
        "| key | type | default | meaning |",
        "|---|---|---|---|",
        "| `must` | text | required | what is long, and longer. |",
        '| `word` | `"a"` or `"b"` | `"b"` | `a` \\| `b`. |',
        "| `maybe` | number | unset | a number. |",
        '| `several` | list of text | `["x", "y"]` | some texts. |',
        "| `listed` | list of integer | `[1]` | integers. |",
        "| `flag` | true or false | `true` | last. |",
    ]


def test_tables_and_lists_of_tables_have_a_section_each(script: dict) -> None:
    deep = "| key | type | default | meaning |\n|---|---|---|---|\n"
    deep += "| `deep` | integer | required | not shown above. |\n"
    page = script["render"](Sample)
    assert page.endswith(
        f"\n\n## `[part]`: another table\n\n{deep}\n## `[[parts]]`: several tables\n\n{deep}"
    )
    assert page.count("`deep`") == 2


@pytest.mark.parametrize(
    ("docstring", "received"),
    [
        (None, "[]"),
        ("A table.", "[]"),
        ("A table.\n\nAttributes:\n  a: one.\n", "['a']"),
        ("A table.\n\nAttributes:\n  b: two.\n  a: one.\n", "['b', 'a']"),
        ("A table.\n\nAttributes:\n  a: one.\n  b: two.\n  c: three.\n", "['a', 'b', 'c']"),
        ("A table.\n\nAttributes:\n  a: one.\n  b two.\n", "['a']"),
    ],
)
def test_a_key_without_its_meaning_is_refused(
    script: dict, docstring: str | None, received: str
) -> None:
    table = dataclasses.make_dataclass("Table", [("a", int), ("b", int)])
    table.__doc__ = docstring
    told = f"Table: expected attributes ['a', 'b'], received {received}"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        list(script["rows"](table))


def test_a_type_that_toml_has_not_is_refused(script: dict) -> None:
    table = dataclasses.make_dataclass("Table", [("a", dict[str, int])])
    table.__doc__ = "A table.\n\nAttributes:\n  a: one.\n"
    with pytest.raises(
        TypeError, match=r"expected a type that TOML has, received dict\[str, int\]"
    ):
        list(script["rows"](table))


def test_every_test_that_a_page_names_is_there() -> None:
    """A name that ends in `...` stands for those that begin so."""
    root = DOCS.parent
    files = {str(path.relative_to(root)) for path in (root / "tests").rglob("*.py")}
    source = "".join((root / file).read_text(encoding="utf-8") for file in files)
    tests = set(re.findall(r"^ *def (test_\w+)", source, re.M))
    missing = []
    for page in (root / "README.md", *DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for file in re.findall(r"\btests/[\w/]+\.py", text):
            missing += [f"{page.name}: {file}"] if file not in files else []
        for name, more in re.findall(r"`(test_\w+?)(\.\.\.)?`", text):
            known = any(test.startswith(name) for test in tests) if more else name in tests
            missing += [] if known else [f"{page.name}: {name}"]
    assert missing == []
