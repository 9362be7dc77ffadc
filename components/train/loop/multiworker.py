"""Training by several processes: worker 0 leads, from within a run, and the others follow it.

`tf.distribute` wants processes that have done nothing else before, and that end when one of them is
lost. So every training has its own, training_worker.py, one on each machine. The
run that leads posts the job as a file in its work directory, which all machines see under the same
path; the others take part as long as it is there. The leader alone keeps checkpoints, and the last
of them is all that it hands back to the run.
"""

import contextlib
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NoReturn, cast

from ragline.components.contract.errors import ToldError
from ragline.components.files import state
from ragline.components.files.state import StateError
from ragline.components.train.loop.cluster import Cluster

JOB_FILE, _KIND = "training.json", "posted training"
_PAUSE = 0.5
Say = Callable[[str], object]


class LostWorkerError(ToldError):
    """The processes did not train to the end: one was lost, or never came."""


def lead(job: Mapping[str, Any], cluster: Cluster, say: Say) -> None:
    """Trains, together with those that follow; checkpoints hold the result.

    Args:
      job: see `records.training_job`.
      cluster: all workers.
      say: told of each epoch.

    Raises:
      LostWorkerError: a worker was lost; the next training goes on from the last checkpoint.
    """
    posted = pathlib.Path(job["config"]["checkpoints"]).with_name(JOB_FILE)
    text = json.dumps({**job, "id": secrets.token_hex(8)})
    state.write(posted, _KIND, json.loads(text))
    try:
        say(f"training on {len(cluster.workers)} workers: {', '.join(cluster.workers)}")
        with _process(text, subprocess.PIPE) as process:
            last = "it said nothing"
            for line in process.stdout or ():
                last = line.rstrip()
                say(last)
            exit_code = process.wait()
    finally:
        _withdraw(posted)
    if exit_code:
        raise LostWorkerError(
            f"worker 0 of {len(cluster.workers)} ended with {exit_code}, after: {last}; "
            "the next run goes on from the last checkpoint"
        )


def follow(workdir: pathlib.Path, source: str, say: Say) -> NoReturn:
    """Takes part in every training of a work directory, until the process is ended.

    Args:
      workdir: where the leader posts them.
      source: digest of the code here, which must be the leader's.
      say: told when a training starts and ends.
    """
    with contextlib.ExitStack() as stack:
        joined = ""
        process: subprocess.Popen[str] | None = None
        while True:
            text = _read(workdir / JOB_FILE)
            if text != joined:
                stack.close()  # What was not to its end is over for the leader, too.
                joined, process = text, None
                if text and json.loads(text)["config"]["source"] != source:
                    say("a training is posted by another version of ragline: not joined")
                elif text:
                    say("joining a training")
                    process = stack.enter_context(_process(text, sys.stderr.fileno()))
            elif process and (exit_code := process.poll()) is not None:
                say("the training is done" if not exit_code else f"it ended with {exit_code}")
                process = None
            time.sleep(_PAUSE)


def _read(posted: pathlib.Path) -> str:
    """The job that is posted; nothing if there is none, or what stands there is none."""
    try:
        return json.dumps(state.read(posted, _KIND, dict[str, Any]))
    except (OSError, StateError):
        return ""


def _withdraw(posted: pathlib.Path) -> None:
    if _read(posted):
        posted.unlink()


@contextlib.contextmanager
def _process(job: str, stdout: int) -> Iterator["subprocess.Popen[str]"]:
    """A process that trains; it ends with this block, and, by its stdin, with this process."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "ragline.components.train.loop.training_worker"],
        stdin=subprocess.PIPE,
        stdout=stdout,
        text=True,
        process_group=0,  # A Ctrl-C is for this process, which then ends that one.
        env={"TF_CPP_MIN_LOG_LEVEL": "2"} | os.environ | {"TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    ) as process:
        try:
            stdin = cast("IO[str]", process.stdin)
            stdin.write(f"{job}\n")
            stdin.flush()
            yield process
        finally:
            process.kill()
