"""How tests start ragline: what the forked process has, and which command lines are true ones."""

import os
import re
import signal
import sys

import commands
from commands import PRELOADED, ROOT, ragline

# Whole runs and jobs by an interpreter of their own, as a user starts them.
TRUE = {
    "end_to_end/conftest.py": "a run that is blessed",
    "end_to_end/test_later_runs.py": "one that is not",
    "faults/test_kills.py": "one that is killed",
    "end_to_end/test_newcomer.py": "an encode, and an init",
    "push/test_check.py": "a check",
    "ingest/test_plug_in.py": "a run beside a package that adds a format",
    "end_to_end/test_plug_ins.py": "a run beside packages that add a part each",
}


def _state() -> None:
    from tensorflow.python.eager import context

    missing = [name for name in PRELOADED if name not in sys.modules]
    print(missing, context.context()._initialized, os.getcwd(), os.environ.get("A"), sys.argv)
    print("to stderr", file=sys.stderr)
    sys.exit(7)


def test_a_forked_process_has_all_imported_and_nothing_of_it_has_run(tmp_path):
    done = commands.finish(commands.Started(_state, cwd=tmp_path, env={"A": "b"}))
    assert done.stdout == f"[] False {tmp_path} b ['ragline']\n", done.stderr
    assert (done.stderr, done.returncode) == ("to stderr\n", 7)


def _wait() -> None:
    print("ready", os.getsid(0) == os.getpid(), file=sys.stderr)
    signal.pause()


def test_it_is_killed_in_a_session_of_its_own_while_it_is_read():
    process = commands.Started(_wait, start_new_session=True)
    assert process.stderr.readline() == "ready True\n"
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.communicate() == ("", "")


def test_both_ways_say_the_same():
    for arguments in (["--version"], ["run"], ["run", "none.toml"]):
        one, other = ragline(*arguments), ragline(*arguments, anew=True)
        assert (one.returncode, one.stdout, one.stderr) == (
            other.returncode,
            other.stdout,
            other.stderr,
        )


def test_the_true_command_lines_are_these():
    command_lines = {
        str(file.relative_to(ROOT / "tests"))
        for file in (ROOT / "tests").rglob("*.py")
        if re.search(r"\banew=(True|number)", file.read_text(encoding="utf-8"))
    }
    assert command_lines - {"test_commands.py"} == set(TRUE)


def test_nobody_else_starts_ragline():
    """A process of `-m ragline` that is started past commands.py; those that profile imports.

    And those that are interrupted in the middle of them, and that of an installed wheel.
    """
    starters = {
        str(file.relative_to(ROOT / "tests"))
        for file in (ROOT / "tests").rglob("*.py")
        if '"-m", "ragline"' in file.read_text(encoding="utf-8")
    }
    assert starters == {
        "commands.py", "pipeline/test_command_line.py", "pipeline/test_interrupts.py",
        "pipeline/test_served.py", "push/test_check.py", "test_commands.py", "test_wheel.py",
    }  # fmt: skip
