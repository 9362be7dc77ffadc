"""`init`, `report`, `export` and `encode`, cut off after every call that changes a file.

The same command is given again. Then, whatever was cut off and where:

    under a final name   stands what was there before, or what an undisturbed command writes
    the second time      it ends well, with what an undisturbed one gives
    what is not ours     is as it was, whatever it is called
    what may stay        one file under a temporary name, which the next command does not mind

Push and rollback have tests of their own, tests/push/test_transaction.py.
"""

import contextlib
import functools
import pathlib
import re
import shutil
from collections.abc import Callable

import pytest
import tensorflow as tf
from conftest import write_jsonl
from faults import calls
from profiles import FULL
from reports import SAMPLES, summary

from ragline.components.files.storage import write_json
from ragline.pipeline.bulk import embedder
from ragline.pipeline.cli.main import main

Files = dict[str, bytes]
STRANGERS = (
    "notes.txt", f".ragline-{'0' * 32}.tmp", ".out.partial.bak", "runs/r/notes.txt",
    f"runs/r/.ragline-{'a' * 32}.tmp", "plotly-0123456789abcdef.min.js.tmp", "c.toml.tmp",
    "encoder.onnx.tmp", ".c.pbtxt.tmp", "runs/other/report.html", "out/index.faiss",
    "out/part-1.parquet", f"out/.ragline-{'b' * 32}.tmp",
)  # fmt: skip
_TEMPORARY = re.compile(r"(.*/)?\.ragline-[0-9a-f]{32}\.tmp")
_RUN = "runs/r"


def _files(folder: pathlib.Path) -> Files:
    """All but a log, which holds the times of what was done."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "_log.txt")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _scatter(folder: pathlib.Path) -> None:
    for name in STRANGERS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def _ragline(*arguments: object) -> None:
    """Runs a command, which must end with 0 if it ends."""
    assert main([str(argument) for argument in arguments]) == 0


def _each(command: Callable[[pathlib.Path], None], before: pathlib.Path, tmp_path: pathlib.Path):
    """Cuts a command off after each call, or, in the short profile, after some, and holds it."""
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(before, undisturbed)
    with calls.counted() as seen:
        command(undisturbed)
    earlier, expected = _files(before), _files(undisturbed)
    strangers = {name: earlier[name] for name in STRANGERS if name in earlier}
    assert strangers.items() <= expected.items()
    total = len(seen.made)
    assert total >= 5, seen.made
    for number in range(1, total + 1) if FULL else range(1, total + 1, max(1, total // 5)):
        folder = tmp_path / f"{number}"
        shutil.copytree(before, folder)
        with contextlib.suppress(Exception), calls.dying(number):
            command(folder)
        cut_off = _files(folder)
        assert strangers.items() <= cut_off.items(), (number, seen.made[number - 1])
        for name in cut_off.keys() & expected.keys():
            assert cut_off[name] in (expected[name], earlier.get(name)), (number, name)
        command(folder)
        ended = _files(folder)
        left = ended.keys() - expected.keys()
        assert {name: ended[name] for name in ended.keys() - left} == expected, number
        assert len(left) <= 1 and all(map(_TEMPORARY.fullmatch, left)), (number, left)
        shutil.rmtree(folder)
    for number in range(1, total + 1, 1 if FULL else max(1, total // 3)):
        folder = tmp_path / f"full-{number}"
        shutil.copytree(before, folder)
        with contextlib.suppress(AssertionError), calls.failing(number):
            command(folder)  # Its exit code may say so.
        refused = _files(folder)
        assert strangers.items() <= refused.items(), number
        for name in refused.keys() & expected.keys():
            assert refused[name] in (expected[name], earlier.get(name)), (number, name)
        shutil.rmtree(folder)


@pytest.fixture
def before(tmp_path) -> pathlib.Path:
    folder = tmp_path / "before"
    _scatter(folder)
    return folder


def test_init(before, tmp_path, gestures):
    write_jsonl(before / "data" / "a.jsonl", gestures[:40])

    def init(folder: pathlib.Path) -> None:
        if (folder / "c.toml").exists():
            return  # It would say so and end with 2: the last file is there, so both are whole.
        with contextlib.chdir(folder):
            _ragline("init", "--input", "data/*.jsonl", "--output", "c.toml")

    _each(init, before, tmp_path)


@pytest.mark.parametrize("output", [None, "sent.html"])
def test_report(before, tmp_path, output):
    run = before / _RUN
    write_json(run / "summary.json", summary())
    write_json(run / "reconstruction_samples.json", SAMPLES)
    (run / "report.html").write_text("of an earlier ragline")

    def report(folder: pathlib.Path) -> None:
        where = [] if output is None else ["--output", folder / output]
        _ragline("report", folder / _RUN, *where)

    _each(report, before, tmp_path)


def test_export(before, tmp_path, encoder, monkeypatch):
    """The model is loaded once: reading changes no file."""
    monkeypatch.setattr(tf.saved_model, "load", functools.cache(tf.saved_model.load))

    def export(folder: pathlib.Path) -> None:
        output = folder / "encoder.onnx"
        _ragline("export", encoder, "--format", "onnx", "--output", output, "--force")

    _each(export, before, tmp_path)


@pytest.mark.parametrize("is_new", [pytest.param(True, marks=pytest.mark.full), False])
def test_encode(before, tmp_path, encoder, gestures, monkeypatch, is_new):
    """By the real Beam job, whose workers are threads of this process."""
    monkeypatch.setattr(embedder, "load", functools.cache(embedder.load))
    data = tmp_path / "data"
    write_jsonl(data / "a.jsonl", gestures[:5])
    shutil.rmtree(before / "out")

    def encode(folder: pathlib.Path) -> None:
        _ragline("encode", encoder, "--input", data / "*.jsonl", "--output", folder / "out")

    if not is_new:
        encode(before)
        _scatter(before)
        write_jsonl(data / "b.jsonl", gestures[5:9])
    _each(encode, before, tmp_path)
