"""README.md and docs/: each command is one that there is, each link leads somewhere."""

import pathlib
import re
import shlex

import pytest
from commands import ROOT

from ragline.pipeline.cli.arguments import parser

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(text: str) -> list[str]:
    """Code that is fenced or indented, a line each; lines that end in a backslash are joined."""
    lines, fenced, last = [], False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and (not last or last.startswith("    "))):
            lines.append(line.strip())
        last = line
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def _commands(page: pathlib.Path, name: str) -> list[list[str]]:
    commands = []
    for line in _blocks(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
        if words and words[0].rpartition("/")[2] == name:
            commands.append(words[1:])
    return commands


@pytest.mark.parametrize(
    "arguments",
    [command for page in PAGES for command in _commands(page, "ragline")],
    ids=" ".join,
)
def test_a_command_is_taken(arguments):
    assert parser().parse_args(arguments).command


def test_every_command_is_shown_somewhere():
    shown = {command[0] for page in PAGES for command in _commands(page, "ragline")}
    inline = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown |= set(re.findall(r"`ragline (\w+)", inline))
    [commands] = [a.choices for a in parser()._actions if a.dest == "command" or a.choices]
    assert set(commands) <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_make_target_is_one(page):
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    inline = re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))
    assert {*inline, *(command[0] for command in _commands(page, "make"))} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#:=\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_leads_to_every_page_and_picture():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [page.name for page in PAGES if page.parent.name == "docs"
            and f"](docs/{page.name}" not in readme] == []  # fmt: skip
    pictures = [picture.name for picture in (ROOT / "docs").glob("*.png")]
    assert [name for name in pictures if f"{name})" not in pages] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_test_that_is_named_is_there(page):
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", page.read_text(encoding="utf-8")))
    assert [name for name in named if not (ROOT / name).exists()] == []
    known = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    modules = {file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    for name in re.findall(r"`(test_\w+?)(?:_?\.\.\.)?`", page.read_text(encoding="utf-8")):
        assert name in modules or any(one.startswith(name) for one in known), name
