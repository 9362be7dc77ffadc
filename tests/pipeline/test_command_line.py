"""Tests of the command line, run as users run it: exit codes, messages, nothing heavy imported."""

import fcntl
import importlib.metadata
import json
import os
import pathlib
import sys
import tomllib

import pytest
from commands import ROOT, Profiled, profiled

COMMANDS = {
    "module": [sys.executable, "-m", "ragline"],
    "installed": [str(pathlib.Path(sys.executable).with_name("ragline"))],
}
# What takes seconds to import. All else that ragline needs comes in through these.
HEAVY = {"tensorflow", "apache_beam", "tfx", "keras", "tensorflow_transform", "ml_metadata"}

CONFIG = """
name = "n"
schema = "gestures"
workdir = "w"
[input]
train = "*.jsonl"
"""


def _ragline(*arguments: object, command: str = "module") -> Profiled:
    done = profiled(*COMMANDS[command], *arguments)
    assert "ragline" in done.imports, "the profile must show imports, or it shows nothing"
    assert not done.imports & HEAVY
    assert "Traceback" not in done.stderr
    return done


def _tree(folder: pathlib.Path) -> dict[pathlib.Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_an_import_that_is_heavy_would_be_seen() -> None:
    """The negative control of the check that every command here goes through."""
    assert profiled(sys.executable, "-c", "import ml_metadata").imports & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_the_commands(command: str) -> None:
    done = _ragline("--help", command=command)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ragline ")
    assert "\n    run " in done.stdout
    assert "\n    synth " in done.stdout
    assert "numpy" not in done.imports


@pytest.mark.parametrize("command", COMMANDS)
def test_version_is_the_one_of_the_project(command: str) -> None:
    done = _ragline("--version", command=command)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"ragline {project['version']}\n"
    assert importlib.metadata.version("ragline") == project["version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_run_lists_its_options(command: str) -> None:
    done = _ragline("run", "--help", command=command)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ragline run ")
    options = ("CONFIG", "--set KEY=VALUE", "--workdir DIR", "--json", "--force-bless WHY")
    for option in (*options, "--new-signature WHY"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nope"], "invalid choice: 'nope'"),
        (["--nope"], "unrecognized arguments: --nope"),
        (["run"], "the following arguments are required: CONFIG"),
        (["run", "a.toml", "b.toml"], "unrecognized arguments: b.toml"),
        (["run", "a.toml", "--set"], "argument --set: expected one argument"),
        (["run", "a.toml", "--nope"], "unrecognized arguments: --nope"),
        (
            ["run", "a.toml", "--force-bless", " "],
            "--force-bless: expected the reason, received an empty text",
        ),
        (["synth"], "the following arguments are required: --output"),
        *[
            (
                ["synth", "--output", "unmade", f"--sequences={count}"],
                f"--sequences: expected an integer of at least 1, received '{count}'",
            )
            for count in ("0", "-1", "1.5", "many", "")
        ],
        (
            ["synth", "--output", "unmade", "--seed=-1"],
            "--seed: expected an integer of at least 0, received '-1'",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_are_named(arguments: list[str], told: str) -> None:
    done = _ragline(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ragline")
    assert told in done.stderr
    assert not (ROOT / "unmade").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_configuration_ends_with_2_and_names_each_key(
    config: pathlib.Path, command: str
) -> None:
    before = _tree(config.parent)
    done = _ragline(
        "run", config, "--set", "train.epoch=3", "--set", "input.format=xlsx", command=command
    )
    assert (done.exit_code, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{config}: input.format: expected 'auto', 'csv', ")
    assert second.startswith(f"{config}: train.epoch: unknown key; expected one of ")
    assert ", epochs, " in second
    assert _tree(config.parent) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "epochs"], "argument --set: expected KEY=VALUE, received 'epochs'\n"),
        (["--set", "schema=nope"], "schema: no schema 'nope': expected a .pbtxt file or one of: "),
        (["--workdir", ""], "workdir: expected a local folder, received ''\n"),
        (["--set", "beam.runner=DaskRunner"], "beam.runner: 'DaskRunner' is refused: "),
        (["--set", b"name=\xff"], "surrogate"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_2(
    config: pathlib.Path, arguments: list[str | bytes], told: str
) -> None:
    done = _ragline("run", config, *map(os.fsdecode, arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


@pytest.mark.parametrize(
    ("command", "strategy", "cluster", "told"),
    [
        ("run", "multi_worker", None, "TF_CONFIG: expected a cluster, such as "),
        ("worker", "multi_worker", None, "TF_CONFIG: expected a cluster, such as "),
        ("run", "multi_worker", "{", "TF_CONFIG: expected JSON, such as "),
        ("run", "multi_worker", 1, "TF_CONFIG: task: expected type 'worker' and index 0, "),
        ("worker", "multi_worker", 0, "TF_CONFIG: task: expected type 'worker' and index 1, "),
        ("worker", "auto", 1, "train.strategy: expected 'multi_worker', received 'auto'\n"),
    ],
)
def test_workers_without_a_cluster_end_with_2(
    config: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    strategy: str,
    cluster: str | int | None,
    told: str,
) -> None:
    if isinstance(cluster, int):
        workers, task = ["a:2222", "b:2222"], {"type": "worker", "index": cluster}
        cluster = json.dumps({"cluster": {"worker": workers}, "task": task})
    if cluster:
        monkeypatch.setenv("TF_CONFIG", cluster)
    done = _ragline(command, config, "--set", f"train.strategy={strategy}")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines(keepends=True)[-1].startswith(told)


def test_a_configuration_that_is_not_there_or_no_toml_ends_with_2(config: pathlib.Path) -> None:
    absent = config.with_name("absent.toml")
    done = _ragline("run", absent)
    hint = "; `ragline init DATA` writes a configuration\n"
    assert (done.exit_code, done.stderr) == (2, f"{absent}: No such file or directory{hint}")
    config.write_text('name = "n"\nschema gestures\n', encoding="utf-8")
    done = _ragline("run", config, "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{config}: ")
    assert "line 2" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_work_directory_that_is_held_ends_with_75_and_stays_as_it_is(
    config: pathlib.Path, command: str
) -> None:
    workdir = config.parent / "w"
    workdir.mkdir()
    with (workdir / ".lock").open("w") as lock:
        lock.write("4242")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _tree(config.parent)
        done = _ragline("run", config, "--json", command=command)
        assert (done.exit_code, done.stdout) == (75, "")
        assert done.stderr == f"{workdir}: another run holds it (process 4242)\n"
        assert _tree(config.parent) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_synth_writes_what_it_says(tmp_path: pathlib.Path, command: str) -> None:
    folder = tmp_path / "new" / "data"
    done = _ragline("synth", "--output", folder, "--sequences", 10, "--seed", 3, command=command)
    assert (done.exit_code, done.stdout) == (0, "")
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"gestures-{shard:05d}.jsonl" for shard in range(4)]
    assert sum(len(file.read_text().splitlines()) for file in files) == 10
    assert done.stderr.startswith("10 sequences, ")
    assert done.stderr.endswith(f" in 4 files: {folder}\n")


@pytest.mark.parametrize("below", [".", "below"])
def test_synth_into_what_is_no_folder_ends_with_2(tmp_path: pathlib.Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    done = _ragline("synth", "--output", file / below)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"--output: expected a place to write to, received {file}")
    assert file.read_text(encoding="utf-8") == "mine"


def test_plan_imports_nothing_heavy_and_writes_nothing(tmp_path: pathlib.Path) -> None:
    """That nothing heavy is imported, `_ragline` holds for every command it runs."""
    assert _ragline("synth", "--output", tmp_path, "--sequences", 200).exit_code == 0
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    done = _ragline("plan", tmp_path / "c.toml")
    assert done.exit_code == 0, done.stderr
    assert "200 read, 200 accepted" in done.stdout
    assert (done.stderr, sorted(tmp_path.rglob("*"))) == ("", before)


def test_init_and_report_import_nothing_heavy_and_name_mistakes(
    tmp_path: pathlib.Path,
) -> None:
    done = _ragline("report", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path}: expected the folder of a run" in done.stderr
    (tmp_path / "a.csv").write_text("recording,t,x\n" + "r,0,1.5\nr,1,2.5\n" * 3, "utf-8")
    arguments = ("init", "--input", tmp_path / "*.csv", "--output", tmp_path / "c.toml")
    assert _ragline(*arguments).exit_code == 0
    done = _ragline(*arguments)
    assert done.exit_code == 2
    assert f"{tmp_path / 'c.toml'}: is there already" in done.stderr


@pytest.mark.parametrize("command", ["init", "plan"])
def test_an_input_whose_reading_fails_is_named_and_nothing_else_is(
    config: pathlib.Path, command: str
) -> None:
    """The beginning of a process's memory can be opened, and not be read."""
    memory = pathlib.Path("/proc/self/mem")
    if not memory.exists():
        pytest.skip("the kernel has no such file")
    output = config.with_name("new.toml")
    arguments = {
        "init": ("--input", memory, "--output", output),
        "plan": (config, "--set", f"input.train={memory}"),
    }
    done = _ragline(command, *arguments[command])
    assert (done.exit_code, done.stderr) == (1, f"{memory}: Input/output error\n")
    assert not output.exists()


@pytest.mark.parametrize(
    ("blocked", "received"),
    [("c.toml/deeper.toml", "c.toml/deeper.toml"), ("a.csv/deeper.toml", "a.csv/deeper.toml")],
)
def test_an_output_that_cannot_be_written_is_named(
    tmp_path: pathlib.Path, blocked: str, received: str
) -> None:
    (tmp_path / "a.csv").write_text("recording,t,x\n" + "r,0,1.5\nr,1,2.5\n" * 3, "utf-8")
    (tmp_path / "c.toml").write_text("mine", "utf-8")
    done = _ragline("init", "--input", tmp_path / "a.csv", "--output", tmp_path / blocked)
    assert done.exit_code == 2
    assert done.stderr.startswith(
        f"--output: expected a place to write to, received {tmp_path / received}: "
    )
