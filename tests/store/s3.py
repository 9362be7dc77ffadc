"""An S3 server on loopback: moto's, in an environment of its own, behind a door that can fail."""

import contextlib
import dataclasses
import http.client
import http.server
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / ".venv-moto" / "bin" / "moto_server"
BUCKET = "bucket"
_SECONDS = 60
_BUSY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""
# Of one connection only.
_HOP = {"connection", "transfer-encoding", "date", "server", "content-length"}


@dataclasses.dataclass(slots=True, kw_only=True)
class Door:
    """Passes requests to the server, and does to each `every`th what it is told.

    Attributes:
      url: where it listens.
      busy: a status to answer with in the server's place.
      cut: whether the connection is closed in the middle of an object that is read.
      wait: seconds before an answer.
      every: of how many requests one is disturbed; 1 is each.
      disturbed: the number of those that were.
    """

    url: str
    busy: int | None = None
    cut: bool = False
    wait: float = 0.0
    every: int = 3
    disturbed: int = 0
    seen: int = 0

    def quiet(self) -> None:
        """Pass all from now on."""
        self.busy, self.cut, self.wait, self.every, self.disturbed = None, False, 0.0, 3, 0

    def turn(self) -> bool:
        """Return whether the next request is one to disturb."""
        self.seen += 1
        return self.seen % self.every == 0


@contextlib.contextmanager
def served(log: pathlib.Path) -> Iterator[Door]:
    """Start a server with one bucket, and the door to it, named to AWS's library."""
    port = free_port()
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [str(SERVER), "-H", "127.0.0.1", "-p", str(port)], stdout=out, stderr=out
        ) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            wait_for(port)
            behind = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pass)
            behind.daemon_threads = True
            door = Door(url=f"http://127.0.0.1:{behind.server_address[1]}")
            behind.door, behind.port = door, port  # type: ignore[attr-defined]
            threading.Thread(target=behind.serve_forever, daemon=True).start()
            patch.setenv("AWS_ENDPOINT_URL", door.url)
            patch.setenv("AWS_ACCESS_KEY_ID", "test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            request = urllib.request.Request(f"{door.url}/{BUCKET}", method="PUT")
            urllib.request.urlopen(request, timeout=_SECONDS).close()
            yield door
            behind.shutdown()
            behind.server_close()
        finally:
            server.terminate()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait until somebody listens at a port."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class _Pass(http.server.BaseHTTPRequestHandler):
    """Passes a request on, or disturbs it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        door: Door = self.server.door  # type: ignore[attr-defined]
        body = self._body()
        disturb = door.turn()
        if disturb and door.wait:
            door.disturbed += 1
            time.sleep(door.wait)
        if disturb and door.busy:
            door.disturbed += 1
            self._answer(door.busy, {"Content-Type": "application/xml"}, _BUSY)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)  # type: ignore[attr-defined]
        with contextlib.closing(connection):
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        if disturb and door.cut and self.command == "GET" and len(content) > 1:
            door.disturbed += 1
            self._answer(answer.status, headers, content, sent=len(content) // 2)
        else:
            self._answer(answer.status, headers, content, length=length)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 (the library's names)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(
        self,
        status: int,
        headers: dict[str, str],
        content: bytes,
        sent: int | None = None,
        length: str | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
        if sent is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
