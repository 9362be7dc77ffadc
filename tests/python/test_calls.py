"""A call leaves its process as it is, in any thread; its process ends with it, however it ends."""

import contextlib
import importlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psutil
import pytest
from commands import ROOT
from conftest import write_jsonl

import ragline
from ragline.pipeline.python import calls, one_line, process
from ragline.pipeline.runs import workdir
from ragline.pipeline.runs.display import Display


class Watching(Display):
    """Calls a function at the first line of a run, when it holds its work directory."""

    def __init__(self, function) -> None:
        self._function = function
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)
        self._function()


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path_factory, monkeypatch) -> None:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))


@pytest.fixture
def arguments(tmp_path, gestures) -> dict:
    write_jsonl(tmp_path / "data" / "a.jsonl", gestures[:20])
    return {
        "config": ROOT / "examples" / "gestures.toml",
        "overrides": [f"input.train={tmp_path}/data/*.jsonl"],
        "workdir": tmp_path / "work",
    }


@pytest.fixture
def at_first_line(monkeypatch):
    def watch(function) -> Watching:
        display = Watching(function)
        monkeypatch.setattr(one_line, "of_caller", lambda wanted: display)
        return display

    return watch


def _state() -> tuple:
    """What a call may not change."""
    return (
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        sorted(os.listdir("/proc/self/fd")),
        [os.readlink(f"/proc/self/fd/{number}") for number in (1, 2)],
        (sys.stdout, sys.stderr, os.getcwd(), dict(os.environ), tempfile.tempdir),
        sorted(pathlib.Path(tempfile.gettempdir()).iterdir()),
        psutil.Process().children(recursive=True),
        set(sys.modules) & {"tfx", "tensorflow_transform", "apache_beam"},
    )


def _in_thread(function):
    raised: list[BaseException] = []

    def catch() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=catch)
    thread.start()
    thread.join()
    return raised


def test_an_error_is_raised_as_it_is_in_a_thread_too(tmp_path):
    before = _state()
    with pytest.raises(ragline.ConfigError, match=r"none\.toml: No such file"):
        ragline.run(tmp_path / "none.toml")
    [error] = _in_thread(
        lambda: ragline.encode(tmp_path, input="none/*.csv", output=tmp_path / "out")
    )
    assert isinstance(error, ragline.NoEncoderError)
    assert "expected the folder of an encoder" in str(error)
    assert _state() == before


def test_what_cannot_be_checked_is_no_encoder(tmp_path):
    with pytest.raises(ragline.NoEncoderError, match="expected"):
        ragline.check(tmp_path)


def test_an_interrupt_ends_the_run_and_leaves_nothing(arguments, at_first_line):
    display = at_first_line(lambda: signal.raise_signal(signal.SIGINT))
    before = _state()
    with pytest.raises(KeyboardInterrupt):
        ragline.run(**arguments)
    assert display.lines[0].startswith("run ") and str(arguments["workdir"]) in display.lines[0]
    assert _state() == before
    with workdir.lock(arguments["workdir"]):
        pass  # Nobody holds it.
    with pytest.raises(ragline.NoEncoderError):
        ragline.load(arguments["workdir"])


def test_an_interrupted_fit_leaves_nothing_either(at_first_line):
    at_first_line(lambda: signal.raise_signal(signal.SIGINT))
    estimator = ragline.SequenceEncoder()  # Imports scikit-learn, which sets a variable.
    before = _state()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit([[[float(step)] for step in range(5)] for _ in range(40)])
    assert _state() == before
    assert not hasattr(estimator, "encoder_")


def test_a_process_that_dies_is_told(arguments, at_first_line):
    others = psutil.Process().children()  # The server of forks is one.
    at_first_line(lambda: (set(psutil.Process().children()) - set(others)).pop().kill())
    with pytest.raises(ragline.RunFailedError, match="its process ended with exit code -9"):
        ragline.run(**arguments)


def test_a_run_ends_with_the_process_that_called_it(arguments):
    script = f"import ragline; ragline.run({str(arguments['config'])!r}, overrides=" + (
        f"{arguments['overrides']!r}, workdir={str(arguments['workdir'])!r})"
    )
    caller = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    [run] = _until(lambda: psutil.Process(caller.pid).children())
    _until(lambda: [*arguments["workdir"].glob("runs/*")])
    caller.kill()
    caller.wait()
    with contextlib.suppress(psutil.NoSuchProcess):
        run.wait(60)
    assert not run.is_running()


def _until(function, seconds: float = 120.0):
    end = time.monotonic() + seconds
    while not (received := function()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return received


def _errors() -> set[type[ragline.UserError]]:
    """All that have ragline's base class, found in the source."""
    kinds = set()
    for path in (path for top in ("components", "pipeline") for path in (ROOT / top).rglob("*.py")):
        names = re.findall(r"^class (\w+Error)\(\w+Error", path.read_text(encoding="utf-8"), re.M)
        if names:
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = importlib.import_module(".".join(("ragline", *parts)))
            kinds |= {getattr(module, name) for name in names}
    return {kind for kind in kinds if issubclass(kind, ragline.UserError)}


def test_every_error_is_the_same_on_this_side():
    kinds = _errors()
    assert len(kinds) > 15
    for kind in kinds:
        error = kind("what is wrong", *(["why"] if kind is ragline.BadDataError else []))
        same = process._error(kind.__module__, kind.__qualname__, [*error.args])
        assert (type(same), str(same), same.args) == (kind, str(error), error.args)


@pytest.mark.parametrize(
    "summary, error, message",
    [
        ({"exit_code": 3, "verdict": {"reasons": ["no_data: a", "no_data: b"]}},
         ragline.BadDataError, "^no_data: a\nb$"),
        ({"exit_code": 1, "verdict": {"reasons": ["MemoryError: x"]}},
         ragline.RunFailedError, "MemoryError: x\nthe traceback is in .*log.txt"),
    ],
)  # fmt: skip
def test_a_run_that_fails_is_an_error(monkeypatch, summary, error, message):
    monkeypatch.setattr(process, "call", lambda *_: {"summary": summary, "folder": "f"})
    with pytest.raises(error, match=message):
        calls.run("c.toml")


def test_a_run_can_be_planned(arguments):
    plan = ragline.plan(**arguments)
    assert plan.preview.read == 20
    assert any("fewer than min_eval" in stop for stop in plan.stops)


def test_an_encoder_of_a_work_directory_is_loaded_if_there_is_one(tmp_path):
    with pytest.raises(ragline.NoEncoderError, match="an encoder that `ragline run` pushed"):
        ragline.load(tmp_path)


def test_all_that_is_offered_is_there_and_of_one_base():
    assert ragline.__version__ and set(ragline.__all__) <= set(dir(ragline))
    for name in ragline.__all__:
        offered = getattr(ragline, name)
        if name.endswith("Error"):
            assert issubclass(offered, ragline.UserError)
