"""Runs that several tests look at: made once, by the real command, in processes of their own."""

import gc
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import hypothesis
import pytest
from commands import ROOT
from profiles import COLLECTED, FULL, sampled

# The same cases in every run, so that a commit's tests pass or fail for what it changes;
# HYPOTHESIS_PROFILE=default draws new ones.
hypothesis.settings.register_profile("same", derandomize=True, max_examples=sampled(100))
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# What a shell or nohup starts may ignore these, and all that it starts does; tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

DEMO = pathlib.Path(os.environ["RAGLINE_DEMO"]) if "RAGLINE_DEMO" in os.environ else None
JAPANESE_VOWELS = ROOT.parent / "shared" / "data" / "japanese_vowels"


# What one worker does in a row: all that looks at the same run, else a file. The long ones, with
# their seconds on two quiet cores, go first, so that the short ones fill what is left.
_SHARED = ("gestures_run", "finished", "vowels_run", "undisturbed", "encoder", "events_model")
_SECONDS = {
    "push/test_exports.py": 100,
    "gestures_run": 95,
    "encoder": 80,
    "undisturbed": 70,
    "train/test_categories.py": 55,
    "test_notebook.py": 47,
    "push/test_check.py": 45,
    "vowels_run": 43,
    "end_to_end/test_newcomer.py": 40,
    "events_model": 38,
    "ingest/test_poison.py": 33,
    "end_to_end/test_spans.py": 32,
    "train/test_cells.py": 30,
    "train/test_encoders.py": 29,
    "train/test_loop.py": 29,
    "train/test_replicas.py": 28,
    "train/test_linear_path.py": 26,
    "train/test_exactness.py": 25,
    "push/test_encoder_exports.py": 22,
    "pipeline/test_interrupts.py": 20,
    "train/test_heads.py": 20,
}


@pytest.hookimpl(tryfirst=True)  # Before xdist looks for groups.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups the tests, the longest group first, and leaves out what is for `make test-full`."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=_place)
    config.stash[COLLECTED] = list(items)
    if not FULL:
        full = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=full)


def pytest_collection_finish() -> None:
    """Leaves what is imported to no garbage collection: a walk over it takes half a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(7_000, 10, 10)  # Not 700: traces of TensorFlow are long lists of objects.


def _group(item: pytest.Item) -> str:
    of_run = [name for name in _SHARED if name in getattr(item, "fixturenames", ())]
    if of_run == ["finished"] and DEMO is None:
        return "gestures_run"
    return of_run[0] if of_run else str(item.path.relative_to(ROOT / "tests"))


def _place(item: pytest.Item) -> tuple[int, str]:
    group = item.get_closest_marker("xdist_group").args[0]
    return -_SECONDS.get(group, 0), group


def write_jsonl(path: pathlib.Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture(scope="session")
def shared_cases(tmp_path_factory) -> pathlib.Path:
    """The cases of ../shared, made and copied."""
    cases = ROOT.parent / "shared" / "cases"
    if not cases.is_dir():
        pytest.skip(f"the cases are not in {cases}")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, cases / "make_cases.py", folder], check=True)
    shutil.copytree(cases / "reported", folder / "reported")
    return folder


@pytest.fixture(scope="session")
def gestures() -> list[dict[str, Any]]:
    """400 records of the demo data."""
    from ragline.pipeline.demo import synth

    return list(synth.gestures(sequences=400, seed=3))


@pytest.fixture(scope="module")
def one_shard() -> Iterator[None]:
    """Trainers that compute each batch as a whole, on any number of cores: it halves the traces.

    train/test_categories.py holds that the number of shards changes nothing, with everything that a
    batch can have; train/test_loop.py and true command lines have as many as the machine.
    """
    from ragline.components.runtime import cores

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "batch_shards", lambda device: 1)
        yield


@pytest.fixture(scope="session")
def events_model(tmp_path_factory):
    """A model of sequences with categories, trained by run_fn on a sample of their entities."""
    import events
    from sampled_events import NAMES, OPTIONS, SPLITS

    from ragline.components.runtime import cores

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "batch_shards", lambda device: 1)
        return events.train(tmp_path_factory.mktemp("events"), SPLITS, OPTIONS, NAMES)


@pytest.fixture
def checked_here(monkeypatch) -> None:
    """Models that a push or a rollback checks are loaded in this process: no TensorFlow to import.

    push/test_check.py and push/test_sandbox.py hold what the process of a check is; whole runs push
    by it.
    """
    from ragline.components.contract import errors
    from ragline.components.push.contract import check, clean_process

    def start(*arguments: str) -> mock.MagicMock:
        files = [pathlib.Path(word) for word in arguments if not word.startswith("--")]
        flags = {name: f"--{name}" in arguments for name in ("strict", "trust")}
        try:
            report = clean_process.check(*[*files, None][:2], **flags)
        except errors.NoEncoderError as error:
            report = {"error": str(error)}
        return mock.MagicMock(
            returncode=0, communicate=lambda line, timeout: (json.dumps(report), "")
        )

    monkeypatch.setattr(check, "_start", start)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> pathlib.Path:
    """A pushed encoder of gestures, version 1; version 2 is beside it."""
    import pushed

    return pushed.gestures(tmp_path_factory.mktemp("encoder"))
