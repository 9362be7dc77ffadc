"""What a mistake on the command line or in a configuration is answered with, and `--help`."""

import os
import pathlib
import subprocess
import sys

import pytest

from ragline.components.contract import exits, suggestions
from ragline.components.files import tables
from ragline.pipeline import config
from ragline.pipeline.cli import main
from ragline.pipeline.cli.arguments import SHELLS, parser
from ragline.pipeline.served import encoders

SMALLEST = 'name = "n"\nschema = "gestures"\nworkdir = "w"\n[input]\ntrain = "x.jsonl"\n'
COMMANDS = [
    "doctor", "synth", "init", "plan", "run", "open", "report", "diff", "encode", "neighbours",
    "export", "check", "versions", "rollback", "spans", "clean", "compare", "compile", "worker",
    "completion", "help",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder that the commands run in, with a configuration."""
    (tmp_path / "ragline.toml").write_text(SMALLEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that is refused says on stderr."""
    try:
        done = main.main(arguments)
    except SystemExit as error:
        done = error.code
    out, said = capsys.readouterr()
    assert (done, out) == (exits.BAD_CONFIG, ""), said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [
        (("rnu", "a.toml"), "; did you mean 'run'?"),
        (("help", "enocde"), "; did you mean 'encode'?"),
        (("run", "a.toml", "--work-dir", "x"), "--work-dir x; did you mean --workdir?"),
        (("init", "data", "--groupby=id"), "--groupby=id; did you mean --group-by?"),
        (("export", "a", "--format", "onxx", "--output", "x"), "; did you mean 'onnx'?"),
        (("run", "a.toml", "--units", "5"), "is set by --set KEY=VALUE"),
        (("run", "a.toml", "--set", "train.epochs", "5"), "; write --set train.epochs=5"),
        (("run", "--set", "train.epochs", "5", "a.toml"), "; write --set train.epochs=5"),
        (("run", "--set=train.epochs", "5", "a.toml"), "; write --set train.epochs=5"),
        (("run", "--set", "train.epochs", "a.toml"), "expected KEY=VALUE, received 'train.epochs'"),
        (("plan", "a.toml", "--set", "epochs"), "expected KEY=VALUE, received 'epochs'"),
        (("run",), "required: CONFIG; `ragline init DATA` writes one"),
        (("synth", "--outptu", "x"), "the following arguments are required: --output"),
    ],
    ids=" ".join,
)
def test_an_option_or_a_command_is_answered_with_what_was_meant(capsys, arguments, ending):
    assert _said(capsys, *arguments).rstrip().endswith(ending)


@pytest.mark.parametrize(
    ("override", "ending"),
    [
        ("epochs=5", "; did you mean 'train.epochs'?"),
        ("max_share=0.5", "; did you mean 'quarantine.max_share'?"),
        ("keep=1", "keep: expected a table, received 1"),
        ("train.epoks=5", "; did you mean 'train.epochs'?"),
        ("input.step.max_length=9", "; did you mean 'input.steps'?"),
        ("train.zzz=1", "; this is ragline 0.1.0, which knows no such key"),
        ("schema=gesture", "expected a .pbtxt file or one of: gestures, japanese_vowels"),
    ],
)
def test_a_key_is_answered_with_what_was_meant(folder, capsys, override, ending):
    said = _said(capsys, "plan", ".", "--set", override)
    assert ending in said
    assert said.startswith("ragline.toml: ")


def test_a_key_in_the_right_table_is_taken_with_blanks_around_it(folder):
    assert config.load("ragline.toml", ["train.epochs = 5"]).train.epochs == 5


def test_a_column_of_a_head_is_answered_with_what_was_meant(folder, capsys):
    (folder / "ragline.toml").write_text(
        SMALLEST + '[[heads]]\nname = "h"\ncolumn = "labl"\ntype = "classification"\n'
        'classes = ["a", "b"]\n'
    )
    assert "received 'labl'; did you mean 'label'?" in _said(capsys, "plan", ".")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'name = "n"\nschema gestures\n',
            "(at line 2, column 8)\n  2 | schema gestures\n    |        ^",
        ),
        (
            "name = n\n",
            "Invalid value (at line 1, column 8); a text stands in quotes\n"
            "  1 | name = n\n    |        ^",
        ),
        ('a = 1\n\n\tb = "C:\\d"\n', "\n  3 |  b = "),
        ("x = [1\n", "Unclosed array (at end of document)"),
        ('a = "' + "x" * 200 + "\n", "xxxx\n"),
    ],
)
def test_the_line_of_a_mistake_in_toml_is_shown_with_its_place(folder, capsys, text, shown):
    (folder / "ragline.toml").write_text(text)
    said = _said(capsys, "run", "ragline.toml")
    assert said.startswith("ragline.toml: ")
    assert shown in said
    assert max(map(len, said.splitlines())) < 120


def test_a_folder_stands_for_the_configuration_in_it(folder, capsys):
    assert config.load(".").workdir == str(folder / "w")
    (folder / "ragline.toml").rename("other.toml")
    assert "a folder with a ragline.toml in it; `ragline init` writes one" in _said(
        capsys, "plan", "."
    )
    assert "none.toml: No such file or directory; `ragline init DATA`" in _said(
        capsys, "plan", "none.toml"
    )


@pytest.mark.parametrize("command", ["versions", "spans", "clean"])
def test_a_work_directory_that_is_not_there_is_a_mistake(folder, capsys, command):
    said = _said(capsys, command, ".", "--workdir", "nowhere")
    assert said == f"workdir: expected a folder that holds runs, received {folder}/nowhere\n"


def test_an_encoder_is_found_by_configuration_work_directory_and_folder(folder):
    for number in ("2", "10", "01"):
        (folder / "w" / "serving" / number).mkdir(parents=True)
    for source in ("w", "w/serving"):
        assert encoders.locate(source) == pathlib.Path("w/serving/10")
    assert encoders.locate("w/serving/2") == pathlib.Path("w/serving/2")


@pytest.mark.parametrize("command", ["check", "export"])
def test_a_configuration_without_an_encoder_is_a_mistake(folder, capsys, command):
    more = ("--format", "onnx", "--output", "e.onnx") if command == "export" else ()
    said = _said(capsys, command, ".", *more)
    assert said.startswith(f"{folder}/w/serving: expected an encoder that `ragline run` pushed")


def test_an_export_replaces_no_file_unless_it_is_forced(folder, capsys):
    (folder / "e.onnx").write_text("mine")
    arguments = ("export", "none", "--format", "onnx", "--output", "e.onnx")
    assert "e.onnx: is there already; --force replaces it" in _said(capsys, *arguments)
    assert "is there already" not in _said(capsys, *arguments, "--force")
    assert (folder / "e.onnx").read_text() == "mine"


def test_without_a_command_there_is_help(capsys):
    assert main.main([]) == exits.DONE
    shown = capsys.readouterr().out
    assert main.main(["help"]) == exits.DONE
    assert capsys.readouterr().out == shown
    places = [shown.index(f"\n    {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert parser()._subparsers._group_actions[0].choices.keys() == set(COMMANDS)
    with pytest.raises(SystemExit, match=r"^0$"):
        main.main(["help", "run"])
    assert capsys.readouterr().out.startswith("usage: ragline run ")
    with pytest.raises(SystemExit, match=r"^0$"):
        main.main(["-V"])
    assert capsys.readouterr().out.startswith("ragline ")


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_that_are_taken_and_fits(monkeypatch, capsys, command, columns):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit, match=r"^0$"):
        main.main([command, "--help"])
    help_text, _, examples = capsys.readouterr().out.partition("examples:\n")
    lines = [line.partition("#")[0].partition(" > ")[0] for line in examples.splitlines() if line]
    assert lines
    for line in lines:
        words = line.replace("'worse on short ones'", "x").replace("'", "").split()
        if "ragline" in words and command != "completion":
            assert parser().parse_args(words[words.index("ragline") + 1 :]).command == command
    if columns == "80":
        assert max(map(len, (help_text + examples).splitlines())) <= 80


def test_a_shell_completes_commands_and_options():
    for shell in SHELLS:
        assert main.main(["completion", shell]) == exits.DONE
    script = (
        "import sys; from ragline.pipeline.cli.main import process; sys.argv[0] = 'ragline';"
        "sys.exit(process())"
    )
    for line, expected in (("ragline neigh", "neighbours"), ("ragline run --work", "--workdir")):
        words = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
        read, write = os.pipe()
        done = subprocess.run(
            ["bash", "-c", f'exec {sys.executable} -c "{script}" 8>&{write}'],
            env=os.environ | words | {"_ARGCOMPLETE_SUPPRESS_SPACE": "1"},
            pass_fds=[write],
            check=False,
        )
        os.close(write)
        with os.fdopen(read) as completions:
            assert completions.read().split("\013") == [expected]
        assert done.returncode == 0


def test_what_is_alike_is_suggested_and_nothing_else():
    known = ("epochs", "units", "Embedding_size")
    assert suggestions.nearest("epcohs", known) == "epochs"
    assert suggestions.nearest("EPOCHS", known) == "epochs"
    assert suggestions.nearest("embedding-size", known) == "Embedding_size"
    assert suggestions.nearest("xyz", known) is None
    assert suggestions.nearest("x", ()) is None
    assert suggestions.did_you_mean("xyz", known) == ""


def test_every_key_of_the_configuration_is_known_to_the_suggestions():
    keys = [*tables.keys(config.Config)]
    assert {"name", "train.epochs", "input.steps.max_length"} <= {*keys}
    assert len(keys) == len({*keys})
