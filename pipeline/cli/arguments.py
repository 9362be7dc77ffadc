"""Parse the command line of `ragline`; main.py runs the commands.

Only what `--help` needs is imported here.
"""

import importlib.metadata
import pathlib

from ragline.pipeline.cli import data_arguments, encoder_arguments, run_arguments
from ragline.pipeline.cli.parsing import Commands, Parser

SHELLS = ("bash", "zsh", "fish")
# In a wheel `ragline`, in which the pages are, too.
_PACKAGE = pathlib.Path(__file__).parents[2]


def parser() -> Parser:
    """Return the parser of all commands; its result `command` is the name of the chosen one.

    The commands stand in the order of use; `command` is None where none was chosen.
    """
    parser = Parser(
        prog="ragline",
        description="Raw variable-length sequences in, a served encoder out.",
        examples=(
            "ragline init data/            # writes ragline.toml, by what your files hold",
            "ragline plan ragline.toml     # what a run would find and do, in seconds",
            "ragline run ragline.toml      # ingest, train, evaluate, push",
            "ragline encode ragline.toml --input data/ --output embeddings/",
            "ragline neighbours embeddings/ --id some-sequence",
        ),
    )
    version = importlib.metadata.version("ragline")
    parser.epilog = f"{parser.epilog}\n\npages that messages name, docs/...: {_PACKAGE}/docs"
    parser.add_argument("-V", "--version", action="version", version=f"ragline {version}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for add in (
        data_arguments.add_doctor,
        data_arguments.add_synth,
        data_arguments.add_init,
        data_arguments.add_plan,
        run_arguments.add_run,
        run_arguments.add_open,
        run_arguments.add_report,
        run_arguments.add_diff,
        encoder_arguments.add_encode,
        encoder_arguments.add_neighbours,
        encoder_arguments.add_export,
        encoder_arguments.add_check,
        encoder_arguments.add_versions,
        encoder_arguments.add_rollback,
        run_arguments.add_spans,
        run_arguments.add_clean,
        run_arguments.add_compare,
        run_arguments.add_compile,
        run_arguments.add_worker,
        _add_completion,
        _add_help,
    ):
        add(commands)
    return parser


def _add_completion(commands: Commands) -> None:
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete ragline's words",
        description="Prints a script for a shell, by which the Tab key completes commands, options "
        "and files.",
        examples=(
            'eval "$(ragline completion bash)"                # in ~/.bashrc',
            'eval "$(ragline completion zsh)"                 # in ~/.zshrc',
            "ragline completion fish | source               # in config.fish",
        ),
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def _add_help(commands: Commands) -> None:
    topic = commands.add_parser(
        "help",
        help="show this page, or that of a command",
        description="Shows the page of all commands, or that of one.",
        examples=("ragline help run",),
    )
    topic.add_argument("topic", nargs="?", metavar="COMMAND", choices=[*commands.choices])
