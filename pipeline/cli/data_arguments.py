"""Add the arguments of the commands that come before a run: `doctor`, `synth`, `init`, `plan`."""

import pathlib

from ragline.components.ingest import formats
from ragline.pipeline.cli.parsing import Commands, add_config, add_json, not_negative, positive


def add_doctor(commands: Commands) -> None:
    """Add `doctor`."""
    doctor = commands.add_parser(
        "doctor",
        help="versions, devices and room, and what is missing for which command",
        description="Looks at the machine and the installed packages, without importing the heavy "
        "ones, and says what is missing for which command. Ends with 1 if a run would not work.",
        examples=("ragline doctor", "ragline doctor --json"),
    )
    add_json(doctor)


def add_synth(commands: Commands) -> None:
    """Add `synth`."""
    synth = commands.add_parser(
        "synth",
        help="write the demo data",
        description="Writes the demo data: gestures of a simulated wearable, as JSON Lines.",
        examples=("ragline synth --output demo/data", "ragline synth --output d --sequences 500"),
    )
    synth.add_argument("--output", required=True, type=pathlib.Path, metavar="DIR")
    synth.add_argument("--sequences", type=positive, default=2000, metavar="N")
    synth.add_argument("--seed", type=not_negative, default=0, metavar="N")


def add_init(commands: Commands) -> None:
    """Add `init`."""
    init = commands.add_parser(
        "init",
        help="write a configuration for a folder of files",
        description="Looks at files, of very large ones at ranges all over them, guesses what "
        "their columns mean, says why, and writes a commented configuration that works as it is. "
        "Overwrites nothing. Every option corrects a guess.",
        examples=(
            "ragline init data/",
            "ragline init data/*.csv --output runs.toml",
            "ragline init trades.parquet --group-by account,day --label fraud",
            "ragline init stays.jsonl --drop note --category ward",
        ),
    )
    init.add_argument(
        "paths", nargs="*", metavar="DATA", help="files, a folder, or a pattern such as 'data/*'"
    )
    init.add_argument("--input", metavar="PATTERN", help="the same, as a pattern in quotes")
    init.add_argument(
        "--output", type=pathlib.Path, default="ragline.toml", metavar="FILE", help="a TOML file"
    )
    init.add_argument(
        "--format",
        default=formats.AUTO,
        choices=formats.NAMES,
        metavar="FORMAT",  # Or argparse would look for those of other packages at every start.
        help="format of the files, where names and first bytes do not show it: %(choices)s",
    )
    init.add_argument(
        "--name", help="the pipeline's name, which versions and metrics carry; else the folder's"
    )
    columns = init.add_argument_group(
        "columns", "names of columns, separated by commas; an option may be given again"
    )
    for option, what in (
        ("--group-by", "they name a row's sequence: those of one value are a sequence"),
        ("--order-by", "it is the time of a step"),
        ("--entity", "it is what a sequence belongs to, which falls in one split"),
        ("--label", "it is a label: one value a sequence, by which embeddings are judged"),
        ("--drop", "they are not used"),
        ("--category", "they are words or ids, one a step"),
        ("--numeric", "they are numbers, one a step"),
    ):
        columns.add_argument(option, action="append", default=[], metavar="COLUMN", help=what)


def add_plan(commands: Commands) -> None:
    """Add `plan`."""
    plan = commands.add_parser(
        "plan",
        help="what a run would find and do, from a sample of the input, in seconds",
        description="Reads a sample of the input, and prints what it holds, what a run would do "
        "with it, and what is wrong. Runs and writes nothing. Ends with 3 if the data would stop "
        "the run, or its model could not be blessed.",
        examples=("ragline plan ragline.toml", "ragline plan . --set input.steps.max_length=512"),
    )
    add_config(plan)
