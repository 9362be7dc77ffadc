"""Check the padding contract of any SavedModel, for the push and for `ragline check`.

The model is loaded in a process of its own (`clean_process.py`), which imports TensorFlow and no
training code, as a server would. What TensorFlow says there stays there, and so does a crash.
"""

import contextlib
import functools
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ragline.components.contract.errors import NoEncoderError
from ragline.components.push.contract.padding_contract import Violation

# Processes that wait for a model; see `prepared`.
_waiting: list[subprocess.Popen[str]] = []
SECONDS = 1_800  # A sound model takes some 20, on a machine that does little else.


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Holds the result of a check.

    Attributes:
      violations: the violations; none if the contract holds.
      features: F; None if the model was not loaded.
      categories: the names of the categories.
      embedding_size: E; None if the model does not state it.
      clauses_checked: the names of the clauses in the contract; `session` is that both loaders
        agree.
      signatures_checked: the names of the signatures.
      probes: the number, lengths and source of the sequences that the contract was checked on.
      has_network: whether the process could reach the network, because the kernel has no user
        namespaces to take it away.
    """

    violations: tuple[Violation, ...]
    features: int | None
    categories: tuple[str, ...] = ()
    embedding_size: int | None
    clauses_checked: tuple[str, ...]
    signatures_checked: tuple[str, ...]
    probes: str
    has_network: bool = False

    def to_dict(self, model: pathlib.Path) -> dict[str, Any]:
        """Return it as standard JSON: a figure that is not finite is null."""
        return {
            "model": str(model),
            "violations": [
                violation._asdict()
                | {"figure": violation.figure if math.isfinite(violation.figure) else None}
                for violation in self.violations
            ],
            "features": self.features,
            "categories": list(self.categories),
            "embedding_size": self.embedding_size,
            "clauses_checked": list(self.clauses_checked),
            "signatures_checked": list(self.signatures_checked),
            "probes": self.probes,
        }

    def to_text(self, model: pathlib.Path) -> str:
        """Return it as text: a line of verdict, each violation in a line, what was checked."""
        verdict = "does not hold" if self.violations else "holds"
        size = "?" if self.embedding_size is None else self.embedding_size
        read = f"{self.features} features"
        if self.categories:
            read += f", {len(self.categories)} categories"
        lines = [
            f"the padding contract {verdict}: {model}",
            *(f"  {violation}" for violation in self.violations),
            f"encoder     {read} -> {size} numbers",
            f"signatures  {', '.join(self.signatures_checked)}",
            f"clauses     {', '.join(self.clauses_checked)}",
            f"probes      {self.probes}",
        ]
        if self.has_network:
            lines.append("process     with a network, since this machine allows none without")
        return "\n".join(lines)


def check(
    model: pathlib.Path,
    probes: pathlib.Path | None = None,
    *,
    strict: bool = False,
    trust: bool = False,
) -> Checked:
    """Check a model in a new Python process.

    Args:
      model: a SavedModel.
      probes: `.npz` of the sequences to check it on, see clean_process.py; None for sequences made
        from what the model's encoder.json states of its features, or of standard normal noise.
      strict: as a push demands it: a model of operations that are not in ops.txt is not even
        loaded, and one without golden inputs does not hold.
      trust: load a model whatever it is made of; otherwise one with operations that reach out of
        it (files, sockets, Python) is not loaded.

    Raises:
      NoEncoderError: it cannot be checked; one line says why.
      RuntimeError: the process failed.
    """
    if not any((model / f"saved_model.{kind}").is_file() for kind in ("pb", "pbtxt")):
        raise NoEncoderError(
            f"{model}: expected a SavedModel, a folder with saved_model.pb, received "
            f"{'a folder without' if model.is_dir() else 'a file' if model.exists() else 'nothing'}"
        )
    arguments = [str(file.resolve()) for file in (model, probes) if file]
    arguments += [f"--{name}" for name, wanted in (("strict", strict), ("trust", trust)) if wanted]
    process, line = _take_waiting(), f"{json.dumps(arguments)}\n"
    if process is None:
        process, line = _start(*arguments), ""
    with process:
        try:
            answer, said = process.communicate(line, timeout=SECONDS)
        except BaseException as error:
            process.kill()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise NoEncoderError(
                f"{model}: expected a model that loads and answers some hundred small requests, "
                f"received no end of it within {SECONDS} seconds; the check was stopped"
            ) from error
    if process.returncode:
        raise RuntimeError(f"{model}: the check ended with {process.returncode}:\n{said}")
    report = json.loads(answer.splitlines()[-1])
    if "error" in report:
        raise NoEncoderError(f"{model}: {report['error']}")
    return Checked(
        violations=tuple(Violation(**violation) for violation in report["violations"]),
        features=report["features"],
        categories=tuple(report["categories"]),
        embedding_size=report["embedding_size"],
        clauses_checked=tuple(report["clauses_checked"]),
        signatures_checked=tuple(report["signatures_checked"]),
        probes=report["probes"],
        has_network=not _without_network(),
    )


@contextlib.contextmanager
def prepared() -> Iterator[Callable[[], None]]:
    """Yield a function that starts the process of the next check, which then imports what it needs.

    TensorFlow takes some 3 seconds, on a core that the stages before the push leave idle. A process
    that no check has taken by the end of the block is killed.
    """
    started: list[subprocess.Popen[str]] = []

    def prepare() -> None:
        started.append(_start())
        _waiting.append(started[-1])

    try:
        yield prepare
    finally:
        for process in started:
            with contextlib.suppress(ValueError):  # A check took it.
                _waiting.remove(process)
                with process:
                    process.kill()


def _take_waiting() -> subprocess.Popen[str] | None:
    """Return a process that waits for a model; None if there is none."""
    with contextlib.suppress(IndexError):
        process = _waiting.pop()
        if process.poll() is None:
            return process
        process.communicate()
    return None


def _start(*arguments: str) -> subprocess.Popen[str]:
    """Start the process of a check; without arguments, it waits for a line of them."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    module = "ragline.components.push.contract.clean_process"
    return subprocess.Popen(  # noqa: S603 (this interpreter, our module, no shell)
        [*_without_network(), sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | quiet,
    )


@functools.cache
def _without_network() -> tuple[str, ...]:
    """Return the start of a command that takes the network away; empty where that cannot be."""
    command = (shutil.which("unshare") or "", "--user", "--map-root-user", "--net")
    if not command[0]:
        return ()
    trial = subprocess.run([*command, "true"], capture_output=True, check=False)  # noqa: S603
    return () if trial.returncode else command
