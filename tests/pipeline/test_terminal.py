"""Commands whose streams are closed, full, or a pipe that nobody reads; real ones, by a shell."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT, write_jsonl

from ragline.pipeline.demo import synth
from ragline.pipeline.runs import terminal, workdir

RAGLINE = f"{sys.executable} -m ragline"


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("terminal")
    write_jsonl(folder / "a.jsonl", list(synth.gestures(sequences=200, seed=3)))
    path = folder / "c.toml"
    path.write_text('name="n"\nschema="gestures"\nworkdir="w"\ninput.train="a.jsonl"\n')
    return path


def _shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, which ends with the exit code of the first command of its pipe."""
    return subprocess.run(
        ["bash", "-c", f"{line}\nexit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "streams", "exit_code", "stderr"),
    [
        ("versions {}", "| true", 0, ""),
        ("versions {} --json", ">&-", 0, ""),
        ("plan {}", "| head -1", 0, ""),
        ("plan {} --json", "| head -1", 0, ""),
        ("plan {}", "2>&-", 0, ""),
        ("plan {}", ">/dev/full", 1, "stdout: No space left on device\n"),
        ("plan {}", ">/dev/full 2>&1", 1, ""),
        ("--help", "| true", 0, ""),
        ("plan {}.absent", "2>&-", 2, ""),
        ("plan {}.absent", "2>/dev/full", 2, ""),
        ("plan {}.absent", "2>&1 | true", 2, ""),
        ("run", "2>/dev/full", 2, ""),
    ],
)
def test_a_command_ends_as_ever_without_its_streams(config, arguments, streams, exit_code, stderr):
    done = _shell(f"{RAGLINE} {arguments.format(config)} {streams}")
    assert (done.returncode, done.stderr) == (exit_code, stderr)


def test_a_closed_stream_is_not_given_to_the_next_file(tmp_path):
    """What is said on a closed stderr would otherwise stand in a file that was opened later."""
    code = (
        "import sys; from ragline.pipeline.runs import terminal; terminal.open_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "terminal.say('said'); terminal.show('shown')\n"
        "import subprocess; subprocess.run(['sh', '-c', 'echo of a child; echo and >&2'])\n"
    )
    done = _shell(f"{sys.executable} -c {shlex.quote(code)} <&- >&- 2>&-")
    assert (done.returncode, (tmp_path / "file").read_text()) == (0, "")


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("streams", ["2>&1 | head -1", "2>/dev/full", "2>&-", ">&- 2>&-"])
def test_a_run_goes_on_without_its_terminal_and_keeps_its_log(tmp_path, streams, verbose):
    """All that a run says while it works, through `quiet`, as `run`, `compare` and `encode` do."""
    log = tmp_path / "log.txt"
    code = (
        "import logging, pathlib, sys, time\n"
        "from ragline.pipeline.runs import terminal, workdir; terminal.open_streams()\n"
        f"with workdir.quiet(pathlib.Path({str(log)!r}), verbose={verbose}) as shown:\n"
        "    for place in range(20):\n"
        "        shown.start(place, 20, 'stage'); shown.end('ran', 1.0); time.sleep(0.01)\n"
        "        logging.getLogger('ragline.x').info('epoch %d', place)\n"
        "        print('chatter', place)\n"
        "terminal.say('the end'); terminal.show('result'); terminal.flush_or_drop()\n"
    )
    done = _shell(f"{sys.executable} -c {shlex.quote(code)} {streams}")
    assert (done.returncode, done.stderr) == (0, "")
    said = log.read_text()
    assert "epoch 19" in said
    assert "chatter 19" in said


def test_a_terminal_that_comes_and_goes_takes_what_it_can():
    reader, writer = os.pipe()
    with terminal.lossy(writer) as file:
        print("read", file=file)
        assert os.read(reader, 100) == b"read\n"
        os.close(reader)
        print("not read", file=file)


def test_a_log_on_a_full_disk_stops_nothing(capfd):
    with workdir.quiet(pathlib.Path("/dev/full")) as shown:
        print("chatter")
        shown.line("said")
    assert capfd.readouterr().err == "said\n"


def test_sentences_are_broken_at_the_width_and_columns_stay():
    text = "  a: one two three four five six\nb  1\n\n    /a/path/that/is/longer/than/the/width"
    assert terminal.fitted(text, 24).split("\n") == [
        "  a: one two three four",
        "    five six",
        "b  1",
        "",
        "    /a/path/that/is/longer/than/the/width",
    ]
    assert terminal.fitted(text, 80) == text
    for width in (1, 10, 40):
        assert terminal.fitted(text, width).split() == text.split()


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_plan_fits_a_narrow_terminal_and_one_of_ascii(config, width, encoding):
    """In a pseudo-terminal of `script`, which passes on what the command writes."""
    command = (
        f"stty cols {width}; COLUMNS={width} PYTHONIOENCODING={encoding} {RAGLINE} plan {config}"
    )
    done = subprocess.run(
        ["script", "-qec", command, os.devnull],
        capture_output=True,
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    shown = done.stdout.decode(encoding)  # ASCII alone, where it is said to be so.
    assert done.returncode == 0, shown
    assert ("#####" if encoding == "ascii" else "█████") in shown
    if width == 80:
        assert max(map(len, shown.replace("\r", "").split("\n"))) <= width


@pytest.mark.parametrize("error", ["pass", "1 / 0"])
def test_what_is_hushed_is_not_heard_and_what_follows_is(error):
    code = (
        "import contextlib, os, sys\n"
        "from ragline.pipeline.runs import terminal\n"
        "with contextlib.suppress(ZeroDivisionError), terminal.hushed():\n"
        f"    os.write(2, b'greeting\\n')\n    print('dear', file=sys.stderr)\n    {error}\n"
        "print('after', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "after\n"
