"""examples/notebook.ipynb runs, with the README's six lines; a fit can be interrupted."""

import itertools
import re

import nbclient
import nbformat
import psutil
import pytest
from commands import ROOT
from jupyter_client.manager import start_new_kernel
from profiles import FULL

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
    if not FULL:  # Its outputs are the same in kind.
        [fit] = [cell for cell in notebook.cells if "fit_transform(walks)" in cell.source]
        fit.source, made = re.subn(r'time="t"\)', 'time="t", epochs=2)', fit.source)
        assert made == 1
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


FIT = """
import numpy as np, ragline
walks = [np.random.default_rng(n).normal(size=(20, 2)).cumsum(axis=0) for n in range(80)]
encoder = ragline.SequenceEncoder(epochs=500)
encoder.fit(walks)
"""


@pytest.fixture
def kernel(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def _reply(client, request: str) -> dict:
    while (message := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    return message["content"]


@pytest.mark.full
def test_an_interrupt_ends_a_fit_and_leaves_the_kernel_usable(kernel):
    """As by the button: the kernel gets the signal, while it trains.

    python/test_calls.py interrupts a fit of the same process.
    """
    manager, client = kernel
    # Otherwise the kernel, for a moment after an error, aborts the next request.
    request = client.execute(FIT, stop_on_error=False)
    while "train" not in str(client.get_iopub_msg(timeout=120)["content"].get("data")):
        pass
    children = psutil.Process(manager.provisioner.pid).children()
    manager.interrupt_kernel()
    assert _reply(client, request)["ename"] == "KeyboardInterrupt"
    assert len(children) == 1 and not children[0].is_running()
    expressions = {"fitted": "hasattr(encoder, 'encoder_')", "walks": "len(walks)"}
    request = client.execute("", user_expressions=expressions)
    shown = _reply(client, request)["user_expressions"]
    assert {name: shown[name]["data"]["text/plain"] for name in shown} == {
        "fitted": "False",
        "walks": "80",
    }
