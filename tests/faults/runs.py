"""Real runs that are disturbed from outside: on a small data set, with a small model."""

import hashlib
import os
import pathlib
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import commands
import numpy as np
import tensorflow as tf
from conftest import write_jsonl

from ragline.pipeline.demo import synth

EPOCHS = 3
OPTIONS = (
    *("--set", f"train.epochs={EPOCHS}"),
    *("--set", "train.units=16"),
    *("--set", "train.embedding_size=8"),
)
_STARTED = re.compile(r"\[ *\d+/\d+\] (\w+)")


def arguments(workdir: pathlib.Path, *options: str, name: str = "run") -> list[str]:
    """Of a command line, with its data beside the work directory."""
    data = workdir.parent / "data.jsonl"
    if not data.exists():
        write_jsonl(data, list(synth.gestures(sequences=200, seed=3)))
    return [
        *(name, "examples/gestures.toml", *OPTIONS),
        *("--workdir", str(workdir), "--set", f"input.train={data}", *options),
    ]


def finish(
    workdir: pathlib.Path, *options: str, name: str = "run", **how: Any
) -> subprocess.CompletedProcess:
    """A run that is left alone; `how` it starts: `commands.start`."""
    return commands.ragline(*arguments(workdir, *options, name=name), **how)


def disturb(
    workdir: pathlib.Path,
    stage: str,
    do: Callable[[commands.Process], object],
    *options: str,
    after: float = 0.0,
    name: str = "run",
    anew: bool = False,
) -> tuple[int, str]:
    """A run to which something is done so many seconds after a stage started, or when it ends.

    Returns:
      Its exit code, and what it said on stderr.
    """
    words = arguments(workdir, *options, name=name)
    process = commands.start(*words, anew=anew, start_new_session=True)
    said, later = [], threading.Timer(after, do, [process])
    for line in process.stderr:
        said.append(line)
        if not (started := _STARTED.match(line)):
            continue
        if started.group(1) == stage and after:
            later.start()
        elif started.group(1) == stage:
            do(process)
        elif later.is_alive():  # The stage was faster than the one that was timed.
            later.cancel()
            do(process)
    later.cancel()
    process.communicate()
    return process.returncode, "".join(said)


def kill(process: commands.Process) -> None:
    """The process alone, as the kernel does when memory is short."""
    process.send_signal(signal.SIGKILL)


def kill_group(process: commands.Process) -> None:
    """With everything that it started, as a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)


def states(said: str) -> dict[str, str]:
    """Stage -> `ran` or `cached`, of the stages that a run said to have ended."""
    stage_states, stage = {}, ""
    for line in said.splitlines():
        if match := _STARTED.match(line):
            stage = match.group(1)
        elif match := re.match(r" +(ran|cached), [\d.]+ s", line):
            stage_states[stage] = match.group(1)
    return stage_states


def epochs(said: str) -> list[int]:
    return [int(number) for number in re.findall(r"epoch (\d+)/", said)]


def raw_data(workdir: pathlib.Path) -> set[str]:
    """Digests of the shards that ingest wrote, the newest of them."""
    return {hashlib.sha256(shard.read_bytes()).hexdigest() for shard in _shards(workdir, "ingest")}


def transformed_data(workdir: pathlib.Path) -> list[bytes]:
    """Records, sorted: Beam names the shards of one run otherwise than those of the next."""
    shards = [str(shard) for shard in _shards(workdir, "transform")]
    records = tf.data.TFRecordDataset(shards, "GZIP").as_numpy_iterator()
    return sorted(_sorted_features(record) for record in records)


def _sorted_features(record: bytes) -> bytes:
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def _shards(workdir: pathlib.Path, stage: str) -> list[pathlib.Path]:
    newest = max((workdir / "artifacts" / stage).glob("*examples/*"), key=lambda p: int(p.name))
    return sorted(file for file in newest.rglob("*.gz"))


def versions(workdir: pathlib.Path) -> list[int]:
    return sorted(int(path.name) for path in (workdir / "serving").iterdir() if path.is_dir())


def embeddings(workdir: pathlib.Path) -> np.ndarray:
    """Of the newest version, for sequences made here."""
    model = tf.saved_model.load(str(workdir / "serving" / str(versions(workdir)[-1])))
    values = np.random.default_rng(0).normal(size=(16, 40, 6)).astype(np.float32)
    length = np.arange(1, 17, dtype=np.int64) * 2
    answer = model.signatures["encode"](values=tf.constant(values), length=tf.constant(length))
    return answer["embedding"].numpy()
