"""A pusher that is killed, a watcher that never sleeps, a disk that loses what was served."""

import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf
from profiles import sampled

from ragline.components.push.release import ledger

ROOT = pathlib.Path(__file__).resolve().parents[2]
KILLS = sampled(20)

# Pushes a real SavedModel for ever, each time under another fingerprint, a pause after each piece
# of a file, so that a copy takes long. The check in a clean process has its own tests.
PUSHER = """
import functools, itertools, os, pathlib, shutil, sys, time
from ragline.components.push.release import transaction
from ragline.components.push.release import publish, release_version

def slowly(source, target, *, follow_symlinks=True):
    with open(source, "rb") as read, open(target, "wb") as write:
        while piece := read.read(4096):
            write.write(piece)
            write.flush()
            time.sleep(0.0005)
    return target

model, serving = map(pathlib.Path, sys.argv[1:])
publish.copy = functools.partial(shutil.copytree, copy_function=slowly)
for number in itertools.count():
    staged = transaction.stage(model, serving)
    source = release_version.ModelSource(
        fingerprint=f"{os.getpid()}-{number}", run_id="r", reasons=(), source=str(model)
    )
    release_version.release(staged, source)
    release_version.tidy(serving, keep=3)
    print(number, flush=True)
"""

# Lists the folder each millisecond, and compares every version with the model, byte by byte; what
# disappears while it is read was removed as a whole, if it is not there any more.
WATCHER = """
import pathlib, sys, time
model, serving = map(pathlib.Path, sys.argv[1:3])
expected = {
    path.relative_to(model): path.read_bytes() for path in model.rglob("*") if path.is_file()
}
polls, whole, sound = 0, set(), set()
print("ready", flush=True)
while not pathlib.Path(sys.argv[3]).exists():
    polls += 1
    for version in serving.iterdir() if serving.is_dir() else ():
        if not version.name.isdecimal():
            continue
        try:
            key = version.name, version.stat().st_ino
            for name, content in expected.items():
                path = version / name
                if key in sound:  # Its bytes were compared; its files must still be there.
                    path.stat()
                elif path.read_bytes() != content:
                    sys.exit(f"{path}: torn")
            sound.add(key)
            whole.add(version.name)
        except FileNotFoundError as error:
            if version.exists():
                sys.exit(f"{error.filename}: missing from a version that is there")
    time.sleep(0.001)
print(polls, len(whole))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> pathlib.Path:
    """Of some 400 KB, in several files, so that a copy has many moments to be killed in."""
    folder = tmp_path_factory.mktemp("model")
    module = tf.Module()
    module.weights = tf.Variable(tf.random.normal([300, 300], seed=0))
    module.f = tf.function(
        lambda x: {"y": tf.linalg.matvec(module.weights, x)},
        input_signature=[tf.TensorSpec([300], tf.float32, "x")],
    )
    tf.saved_model.save(module, str(folder), signatures={"encode": module.f})
    return folder


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_killed_at_any_moment_no_version_is_ever_half_there(model, tmp_path):
    serving, over = tmp_path / "serving", tmp_path / "over"
    watcher = _start(WATCHER, model, serving, over)
    assert watcher.stdout.readline() == "ready\n"
    rng = random.Random(0)
    for _ in range(KILLS):
        pusher = _start(PUSHER, model, serving)
        pusher.stdout.readline()  # One version is through; the next may be anywhere.
        time.sleep(rng.uniform(0.0, 0.3))
        pusher.send_signal(signal.SIGKILL)
        _, told = pusher.communicate()
        assert (pusher.returncode, told) == (-signal.SIGKILL, "")
    over.touch()
    told, error = watcher.communicate()
    assert watcher.returncode == 0, error
    polls, seen = map(int, told.split())
    assert polls > 100 and seen >= KILLS

    there, entries = ledger.versions(serving), ledger.read(serving)
    assert all(version.fingerprint for version in there), "every version is known and undamaged"
    numbers = [entry.version for entry in entries]
    assert numbers == sorted(set(numbers)), "no number was used twice"
    assert len(there) <= 4  # Three are kept, and one more if the kill came before the removal.
    for version in there:
        loaded = tf.saved_model.load(str(version.path))
        assert loaded.signatures["encode"](x=tf.ones([300]))["y"].shape == (300,)

    last = _start(PUSHER, model, serving)
    last.stdout.readline()
    last.kill()
    last.communicate()
    assert not list(serving.glob(".removed-*")), "what a killed pusher left is gone"
    assert ledger.newest(serving).number > numbers[-1]
