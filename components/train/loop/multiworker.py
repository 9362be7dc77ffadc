"""Train by several processes: the chief, started by a run, and the workers that join it.

`tf.distribute` wants processes that have done nothing else before, and that end when one of them is
lost. So every training has its own, training_worker.py, one on each machine. The
chief's run writes the job to a file in its work directory, which all machines see under the same
path; the workers take part while the file exists. The chief alone keeps checkpoints, and the last
of them is all that it hands back to the run.
"""

import contextlib
import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NoReturn, cast

from ragline.components.contract.errors import UserError
from ragline.components.files import state, storage
from ragline.components.files.state import StateError
from ragline.components.train.loop.cluster import Cluster

JOB_FILE, _KIND = "training.json", "posted training"
_PAUSE = 0.5
Report = Callable[[str], object]


class LostWorkerError(UserError):
    """Says that training stopped because a worker was lost or never started."""


def run_chief(job: Mapping[str, Any], cluster: Cluster, report: Report) -> None:
    """Train with the workers that join; checkpoints hold the result.

    Args:
      job: see `records.training_job`.
      cluster: all workers.
      report: called with a line for each epoch.

    Raises:
      LostWorkerError: a worker was lost; the next training goes on from the last checkpoint.
    """
    job_file = pathlib.Path(job["config"]["checkpoints"]).with_name(JOB_FILE)
    text = json.dumps({**job, "id": secrets.token_hex(8)})
    state.write(job_file, _KIND, json.loads(text))
    try:
        report(f"training on {len(cluster.workers)} workers: {', '.join(cluster.workers)}")
        with _process(text, subprocess.PIPE) as process:
            last_line = "it said nothing"
            for line in process.stdout or ():
                last_line = line.rstrip()
                report(last_line)
            exit_code = process.wait()
    finally:
        _withdraw(job_file)
    if exit_code:
        raise LostWorkerError(
            f"worker 0 of {len(cluster.workers)} ended with {exit_code}, after: {last_line}; "
            "the next run goes on from the last checkpoint"
        )


def run_worker(workdir: pathlib.Path, source: str, report: Report) -> NoReturn:
    """Take part in every training of a work directory, until the process is ended.

    Args:
      workdir: work directory of the chief's run.
      source: digest of ragline's source here, which must be the chief's.
      report: called with a line when a training starts and when it ends.
    """
    with contextlib.ExitStack() as stack:
        joined_job = ""
        process: subprocess.Popen[str] | None = None
        while True:
            job = _read_job(workdir / JOB_FILE)
            if job != joined_job:
                stack.close()  # A training that did not end is over for the chief, too.
                joined_job, process = job, None
                if job and json.loads(job)["config"]["source"] != source:
                    report("a training is posted by another version of ragline: not joined")
                elif job:
                    report("joining a training")
                    process = stack.enter_context(_process(job, sys.stderr.fileno()))
            elif process and (exit_code := process.poll()) is not None:
                report("the training is done" if not exit_code else f"it ended with {exit_code}")
                process = None
            time.sleep(_PAUSE)


def _read_job(job_file: pathlib.Path) -> str:
    """Return the job that is posted; nothing if there is none, or what stands there is none."""
    try:
        return json.dumps(state.read(job_file, _KIND, dict[str, Any]))
    except (OSError, StateError):
        return ""


def _withdraw(job_file: pathlib.Path) -> None:
    if _read_job(job_file):
        job_file.unlink()


@contextlib.contextmanager
def _process(job: str, stdout: int) -> Iterator["subprocess.Popen[str]"]:
    """Start a process that trains; it ends with this block, or when this process ends.

    However it ends, its temporary folder, with the records of a store in it, is removed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="training-") as temporary,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "ragline.components.train.loop.training_worker"],
            stdin=subprocess.PIPE,
            stdout=stdout,
            text=True,
            process_group=0,  # A Ctrl-C is for this process, which then ends that one.
            env={"TF_CPP_MIN_LOG_LEVEL": "2"}
            | os.environ
            | {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "TMPDIR": temporary}
            | storage.with_journals(),
        ) as process,
    ):
        try:
            stdin = cast("IO[str]", process.stdin)
            stdin.write(f"{job}\n")
            stdin.flush()
            yield process
        finally:
            process.kill()
