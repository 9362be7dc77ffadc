"""Look at the machine and the installed packages, for `ragline doctor`, in about a second.

Nothing heavy is imported: versions come from the packages' metadata, devices from the system.
"""

import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement

# Memory of the last stage of a run, by docs/performance.md, and room of a small run on the disk.
_BYTES_OF_A_RUN = 3_800_000_000
_BYTES_ON_DISK = 1_000_000_000
_DISTRIBUTION = "ragline"
# An extra of the distribution -> the commands that need it.
_EXTRAS = {"export": "ragline export", "kubeflow": "ragline compile"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Holds one line of what `ragline doctor` says.

    Attributes:
      what: what was looked at.
      state: what it is like, in words.
      stops: the commands that it stops; none if it is well.
    """

    what: str
    state: str
    stops: str = ""


def examine(folder: pathlib.Path) -> list[Finding]:
    """Return what there is: the packages, the machine, and the disk of a folder."""
    return [*_packages(), *_machine(), _disk(folder)]


def _packages() -> Iterator[Finding]:
    version = importlib.metadata.version(_DISTRIBUTION)
    yield Finding(what="ragline", state=version)
    yield Finding(what="Python", state=f"{platform.python_version()}, {sys.executable}")
    wrong: dict[str, list[str]] = {}
    requirements = [Requirement(text) for text in importlib.metadata.requires(_DISTRIBUTION) or ()]
    for requirement in requirements:
        extra = _extra(requirement)
        commands = "all but --help and --version" if extra == "" else _EXTRAS.get(extra, "")
        if not commands or (requirement.marker and not _applies(requirement, extra)):
            continue
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.setdefault(extra, []).append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.setdefault(extra, []).append(
                f"{requirement.name} {installed}, expected {requirement.specifier}"
            )
    for name in ("tensorflow", "keras", "tfx", "apache-beam"):
        try:
            yield Finding(what=name, state=importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(what=name, state="missing", stops="ragline run")
    for extra in ("", *_EXTRAS):
        name = f"ragline[{extra}]" if extra else "packages"
        mistakes = wrong.get(extra, [])
        yield Finding(
            what=name,
            state="; ".join(mistakes) if mistakes else "all that is needed",
            stops=(_EXTRAS.get(extra, "ragline run") if mistakes else ""),
        )


def _extra(requirement: Requirement) -> str:
    """Return the extra that a requirement belongs to; an empty text if it is always needed."""
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return ""
    extras = importlib.metadata.metadata(_DISTRIBUTION).get_all("Provides-Extra") or []
    return next((name for name in extras if requirement.marker.evaluate({"extra": name})), "none")


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _machine() -> Iterator[Finding]:
    import psutil

    libc = " ".join(platform.libc_ver()).strip()
    is_supported = sys.platform == "linux" and libc.startswith("glibc")
    yield Finding(
        what="system",
        state=f"{platform.system()} {platform.machine()}, {libc or 'no glibc'}"
        + ("" if is_supported else "; expected Linux with glibc, which TensorFlow's wheels need"),
        stops="" if is_supported else "ragline run",
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    needed = f"; a run takes {_BYTES_OF_A_RUN / 1e9:.1f} GB"
    yield Finding(
        what="memory",
        state=f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
        + (needed if memory.available < _BYTES_OF_A_RUN else ""),
        stops="ragline run" if memory.total < _BYTES_OF_A_RUN else "",
    )
    yield Finding(what="processors", state=f"{cores} that this process may use")
    yield Finding(what="GPUs", state=", ".join(_gpus()) or "none that the system shows")


def _gpus() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run(  # noqa: S603 (the driver's own tool, no shell)
            [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _disk(folder: pathlib.Path) -> Finding:
    usage = shutil.disk_usage(folder)
    is_writable = os.access(folder, os.W_OK)
    state = f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free in {folder}"
    if not is_writable:
        state += ", which cannot be written to: expected another `workdir`"
    return Finding(
        what="disk",
        state=state,
        stops="ragline run" if usage.free < _BYTES_ON_DISK or not is_writable else "",
    )


def to_text(findings: list[Finding]) -> str:
    """Return the findings, a line each, and a verdict."""
    wide = max(len(finding.what) for finding in findings)
    lines = [
        f"{'!' if finding.stops else ' '} {finding.what:<{wide}}  {finding.state}"
        + (f" (stops {finding.stops})" if finding.stops else "")
        for finding in findings
    ]
    stopped = sorted({finding.stops for finding in findings if finding.stops})
    verdict = (
        f"stopped: {', '.join(stopped)}" if stopped else "Nothing found that would stop a run."
    )
    return "\n".join([*lines, "", verdict])


def to_dict(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return the findings as plain data, for `--json`."""
    return [{"what": f.what, "state": f.state, "stops": f.stops} for f in findings]
