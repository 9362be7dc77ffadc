"""examples/notebook.ipynb runs from its first cell to its last; its six lines are the README's."""

import itertools
import re

import nbclient
import nbformat
import pytest
from commands import ROOT

FILE = ROOT / "examples" / "notebook.ipynb"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
STORED = nbformat.read(FILE, as_version=4)
CODE = [cell for cell in STORED.cells if cell.cell_type == "code"]


def _kinds(cell) -> list[str]:
    """What a cell shows, without the line of progress and what libraries print.

    Lines that follow each other are one: whether they come at once is the clock's matter.
    """
    kinds = [
        kind
        for output in cell.outputs
        if output.output_type != "stream" or output.name == "stdout"
        for kind in sorted(output.get("data", {output.output_type: ""}))
    ]
    return [kind for kind, _ in itertools.groupby(kinds)]


def test_its_six_lines_are_those_of_the_pages():
    six = [cell.source for cell in CODE if "SequenceEncoder(" in cell.source]
    assert len([line for line in six[0].splitlines() if line]) <= 6
    for page in (README, PAGE):
        assert six[0] in re.findall(r"^```python\n(.*?)\n```", page, re.MULTILINE | re.DOTALL)


def test_its_outputs_are_in_the_file():
    shown = [cell for cell in CODE if cell.outputs]
    assert len(CODE) <= 11 and len(shown) >= len(CODE) - 1
    assert FILE.stat().st_size < 200_000
    assert str(ROOT) not in FILE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    notebook = nbformat.from_dict(STORED)
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = nbclient.NotebookClient(
        notebook, timeout=1_200, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    return client.execute()  # An error of a cell is one of the test.


def test_it_runs_and_shows_what_the_file_shows(executed):
    for cell, stored in zip(executed.cells, STORED.cells, strict=True):
        if cell.cell_type == "code":
            assert _kinds(cell) == _kinds(stored), cell.source


def test_a_fit_shows_one_line(executed):
    [cell] = [cell for cell in executed.cells if "fit_transform(walks)" in cell.source]
    shown = [output for output in cell.outputs if output.output_type == "display_data"]
    assert len(shown) == 1
    assert re.fullmatch(r"\[\d+/\d+\] push, \d+ s", shown[0]["data"]["text/plain"])
