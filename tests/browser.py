"""Headless Chromium, spoken to in the protocol of its own developer tools."""

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

import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
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
        evaluated = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in evaluated, evaluated
        return evaluated["result"].get("value")

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
        complaints = []
        for event in self.events:
            params = event.get("params", {})
            match event["method"]:
                case "Runtime.exceptionThrown":
                    complaints.append(params["exceptionDetails"])
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                    complaints.append(params["args"])
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    complaints.append(params["entry"])
        return complaints

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


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """A browser of its own, which has seen nothing yet."""
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
