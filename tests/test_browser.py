"""The report in a real browser, from disk: it draws, sorts, asks the network for nothing."""

import contextlib
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websocket
from reports import EXHIBIT, NASTY, summary

from pipeline import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
PATIENCE = 60.0


class Browser:
    """A page in headless Chromium, spoken to in the DevTools protocol."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._socket = websocket.create_connection(_page_of(folder), timeout=PATIENCE)
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def value(self, expression: str) -> Any:
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, page: pathlib.Path, *, width: int = 1200, dark: bool = False) -> None:
        self.events.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.scheme("dark" if dark else "light")
        self.ask("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && document.documentElement.dataset.drawn")

    def scheme(self, name: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": name}
        self.ask("Emulation.setEmulatedMedia", features=[feature])

    def wait(self, expression: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < until, (expression, self.complaints())
            time.sleep(0.05)

    def complaints(self) -> list[Any]:
        """Errors and warnings in the console, and exceptions that nobody caught."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            match event["method"]:
                case "Runtime.exceptionThrown":
                    found.append(params["exceptionDetails"])
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                    found.append(params["args"])
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    found.append(params["entry"])
        return found

    def requests(self) -> list[str]:
        """What was asked for; data: is in the page."""
        urls = (
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        )
        return [url for url in urls if not url.startswith(("data:", "blob:"))]


def _page_of(folder: pathlib.Path) -> str:
    """The address of the only page of a browser that has just started."""
    port_file = folder / "DevToolsActivePort"
    until = time.monotonic() + PATIENCE
    while not (port_file.exists() and "\n" in port_file.read_text()):
        assert time.monotonic() < until, "Chromium did not start"
        time.sleep(0.05)
    port, path = port_file.read_text().split("\n")[:2]
    socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=PATIENCE)
    with contextlib.closing(socket):
        socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(socket.recv())["result"]["targetInfos"]
    [page] = [target["targetId"] for target in targets if target["type"] == "page"]
    return f"ws://127.0.0.1:{port}/devtools/page/{page}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-dev-shm-usage",
                "--remote-debugging-port=0", "--remote-allow-origins=*",
                f"--user-data-dir={folder}", "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Browser(pathlib.Path(folder))
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> pathlib.Path:
    """Ids and labels that are markup, and one that would run if it were taken for such."""
    exhibit = json.loads(json.dumps(EXHIBIT))
    nasty = "<img src=x onerror=\"document.title='owned'\">"
    exhibit["sequences"]["sequence_id"][0] = NASTY
    exhibit["sequences"]["context"] = {"label": [nasty, "<b>x</b>", "y", "y"]}
    exhibit["reconstructions"][0]["sequence_id"] = nasty
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.render(summary(), exhibit), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_draws_all_its_plots_without_a_complaint_or_a_request(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    count = "p.querySelectorAll('.main-svg').length"
    drawn = browser.value(f"Array.from(document.querySelectorAll('.plot'), p => {count})")
    assert len(drawn) == 11
    assert all(drawn)
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert "owned" not in browser.value("document.title")
    assert browser.value("document.querySelectorAll('.plot img, code img').length") == 0


def test_text_in_plots_is_text(browser, page):
    browser.open(page)
    texts = browser.value(
        "Array.from(document.querySelectorAll('#plot-embedding .legendtext'), t => t.textContent)"
    )
    assert "<b>x</b>" in texts


def test_padding_is_not_drawn(browser, page):
    """Three steps, of which the second is missing: two points of the one, three of the other."""
    browser.open(page)
    points = browser.value(
        "Array.from(document.querySelectorAll('#plot-worst .scatter.trace'),"
        " t => t.querySelectorAll('.point').length)"
    )
    assert points == [2, 3, 3, 3]


SORT = "document.querySelectorAll('#lengths thead button')[{}].click()"
ROWS = "Array.from(document.querySelectorAll('#lengths tbody tr'), r => r.cells[{}].textContent)"


def test_a_table_sorts_by_numbers_and_back(browser, page):
    browser.open(page)
    assert browser.value(ROWS.format(1)) == ["300", "2,000", "2,300"]
    browser.value(SORT.format(2))
    assert browser.value(ROWS.format(2)) == ["0.2500", "0.7500", "0.7865"]
    browser.value(SORT.format(2))
    assert browser.value(ROWS.format(2)) == ["0.7865", "0.7500", "0.2500"]
    browser.value(SORT.format(0))
    assert browser.value(ROWS.format(0)) == ["8-15", "16-31", "All"]
    assert browser.value("document.querySelectorAll('#lengths [aria-sort]').length") == 1


def test_a_button_colours_the_embedding_by_length(browser, page):
    browser.open(page)
    shown = "document.querySelectorAll('#plot-embedding .scatter.trace').length"
    assert browser.value(shown) == 3
    browser.value("document.querySelectorAll('.ways button')[1].click()")
    browser.wait(f"{shown} === 1")
    assert browser.complaints() == []


def test_plots_follow_the_page_into_the_dark(browser, page):
    colour = "getComputedStyle(document.querySelector('#plot-baselines .point path')).fill"
    browser.open(page)
    light = browser.value(colour)
    browser.scheme("dark")
    browser.wait(f"{colour} !== '{light}'")
