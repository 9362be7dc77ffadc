"""Processes from which nothing calls out, and what they tried."""

import os
import pathlib
import shutil
import subprocess

# In a Python that runs this at its start, and in all its children, nothing reaches another machine.
_WALL = """
import os, socket
real = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

def local(address):
    host = address[0] if isinstance(address, tuple) else address
    return host in ("localhost", "::1", None, "") or str(host).startswith("127.")

def refuse(what):
    with open(os.environ["RAGLINE_CALLS_OUT"], "a") as file:
        file.write(f"{what}\\n")
    raise OSError(101, f"Network is unreachable (refused by a test): {what}")

def guarded(call):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not local(address):
            refuse(address)
        return call(self, address)
    return connect

socket.socket.connect, socket.socket.connect_ex = map(guarded, real[:2])
socket.getaddrinfo = lambda host, *rest, **more: (
    real[2](host, *rest, **more) if local(host) else refuse(host)
)
"""


def environment(folder: pathlib.Path) -> dict[str, str]:
    """The environment of a process whose Python cannot call out; see `calls`."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_WALL, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "RAGLINE_CALLS_OUT": str(folder / "calls_out")}


def calls(folder: pathlib.Path) -> str:
    """What processes with the environment of this folder tried to reach, a line each."""
    file = folder / "calls_out"
    return file.read_text() if file.exists() else ""


def prefix() -> list[str]:
    """A prefix that takes the kernel's network away as well, where this user may do that."""
    prefix = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        return []
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        return []
    # What runs in one machine may talk over its loopback device, which starts switched off.
    return [*prefix, "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "-"]
