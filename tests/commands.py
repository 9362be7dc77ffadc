"""The one way in which tests start ragline: in a process of its own.

It is forked from a server that has imported TensorFlow, Beam, TFX and ours, one a worker of pytest,
in which nothing of them has run; it trains in one shard, see `one_shard` in conftest.py. With
`anew`, it is a command line as a user starts it, whose imports take 15 seconds of a core: for tests
of what is imported, printed by an import or put on `sys.path`, and for a whole run of each kind
(test_commands.py says which).
"""

import gc
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TextIO

ROOT = pathlib.Path(__file__).resolve().parent.parent
# All that `ragline run` and `ragline encode` import; the server swallows an ImportError, which
# test_commands.py does not.
PRELOADED = (
    "tensorflow",
    "keras",
    "tensorflow_transform.beam",
    "tensorflow_model_analysis",
    "tfx.orchestration.local.local_dag_runner",
    "ragline.components.evaluate.component",
    "ragline.components.evaluate.metrics.masked_metrics",
    "ragline.components.ingest.executor",
    "ragline.components.push.executor",
    "ragline.components.train.run_fn",
    "ragline.components.transform.preprocessing",
    "ragline.components.validate.component",
    "ragline.pipeline.dag",
    "ragline.pipeline.bulk.encode_job",
    "ragline.pipeline.onboard.init",
    "ragline.pipeline.onboard.plan_text",
    "ragline.pipeline.cache.recovery",
    "ragline.pipeline.report.html_page",
    "ragline.pipeline.runs.runner",
    "ragline.pipeline.report.summary",
    "ragline.pipeline.runs.tfx_run",
)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(list(PRELOADED))


class Started:
    """A forked process, with as much of a `subprocess.Popen` as tests ask for.

    Attributes:
      args: function and arguments.
      stderr: what it says, while it runs.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *arguments: Any,
        cwd: pathlib.Path = ROOT,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.args = (function, *arguments)
        self._out = tempfile.NamedTemporaryFile("r", encoding="utf-8")  # noqa: SIM115 (`communicate` closes it)
        reader, writer = _SERVER.Pipe(duplex=False)
        self._process = _SERVER.Process(
            target=_run,
            args=(function, arguments, self._out.name, writer),
            kwargs={
                "cwd": cwd,
                "env": dict(os.environ if env is None else env),
                "start_new_session": start_new_session,
            },
        )
        self._process.start()
        writer.close()
        self.stderr: TextIO = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """All that it says, once it has ended."""
        with self.stderr, self._out:
            told = self.stderr.read()
            self.wait()
            return self._out.read(), told


def _run(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    out: str,
    err: Connection,
    *,
    cwd: pathlib.Path,
    env: Mapping[str, str],
    start_new_session: bool,
) -> None:
    """What the forked process does: takes its own place, and exits with what the function says."""
    gc.freeze()  # A walk over what is imported takes half a second, and copies each page.
    if start_new_session:
        os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # The server's imports cached it; TMPDIR is this process's own.
    file = os.open(out, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(err.fileno(), 2)
    os.close(file)
    err.close()
    sys.argv = ["ragline"]  # And not those of pytest, which TFX would hand to absl.
    sys.exit(function(*arguments))


def _main(*arguments: str) -> int:
    from ragline.components.runtime import cores
    from ragline.pipeline.cli.main import process

    cores.batch_shards = lambda device: 1
    sys.argv += arguments
    return process()


Process = Started | subprocess.Popen[str]


def start(
    *arguments: object, anew: bool = False, prefix: Sequence[str] = (), **options: Any
) -> Process:
    """Starts `ragline ARGUMENTS`, in the repository unless `options` say otherwise.

    Args:
      *arguments: of the command line.
      anew: by an interpreter of its own.
      prefix: of the command line, which is `anew` then.
      **options: those of `Started`, which are Popen's, too.
    """
    words = list(map(str, arguments))
    if not (anew or prefix):
        return Started(_main, *words, **options)
    pipes: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    command = [*prefix, sys.executable, "-P", "-m", "ragline", *words]
    return subprocess.Popen(command, text=True, **pipes, **{"cwd": ROOT} | options)


def finish(process: Process) -> subprocess.CompletedProcess[str]:
    """Waits for the end of a process; what it said."""
    out, told = process.communicate()
    return subprocess.CompletedProcess(process.args, process.wait() or 0, out, told)


def ragline(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `ragline ARGUMENTS` to its end; see `start`."""
    return finish(start(*arguments, **options))


def python(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `python ARGUMENTS` to its end, in the repository unless `options` say otherwise."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        **{"capture_output": True, "text": True, "check": False, "cwd": ROOT} | options,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A command that has ended, and the full names of the modules that it imported."""

    exit_code: int
    stdout: str
    stderr: str
    imports: frozenset[str]


def profiled(*command: object) -> Profiled:
    """Runs a command of Python's to its end, in the repository, and sees what it imports."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip
    lines = done.stderr.splitlines(keepends=True)
    timings = [line for line in lines if line.startswith("import time:")]
    return Profiled(
        exit_code=done.returncode,
        stdout=done.stdout,
        stderr="".join(line for line in lines if line not in timings),
        imports=frozenset(line.rpartition("|")[2].strip() for line in timings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished `ragline run`."""

    workdir: pathlib.Path
    exit_code: int
    summary: dict[str, Any]
    stdout: str
    stderr: str
    arguments: tuple[str, ...]

    @property
    def serving(self) -> list[pathlib.Path]:
        folder = self.workdir / "serving"
        return sorted(folder.iterdir()) if folder.is_dir() else []


def run_pipeline(workdir: pathlib.Path, *arguments: str, **options: Any) -> Run:
    """`ragline run ... --workdir W --json`; see `start`."""
    done = ragline("run", *arguments, "--workdir", workdir, "--json", **options)
    assert done.stdout, done.stderr
    return Run(
        workdir=workdir,
        exit_code=done.returncode,
        summary=json.loads(done.stdout),
        stdout=done.stdout,
        stderr=done.stderr,
        arguments=arguments,
    )
