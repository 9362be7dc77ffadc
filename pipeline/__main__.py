"""The command line: `ragline`, or `python -m pipeline`.

Exit codes: 0 done; 1 a defect; 2 bad configuration; 3 bad data; 4 not blessed, nothing pushed; 75
another run holds the work directory. Progress goes to stderr, `--json` puts the summary on stdout.
TensorFlow, Beam and TFX are imported only by the commands that need them.
"""

import argparse
import importlib.metadata
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from pipeline import exits


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    command: int = options.command(options)
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ragline",
        description="Raw variable-length sequences in, a served encoder out.",
    )
    version = importlib.metadata.version("ragline")
    parser.add_argument("--version", action="version", version=f"ragline {version}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="the whole pipeline, from raw files to a pushed encoder",
        description="Runs the whole pipeline: ingest, validate, transform, train, evaluate, push.",
    )
    run.add_argument("config", metavar="CONFIG", help="a TOML file; see examples/")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="in place of the file's value, such as train.epochs=5; may be given again",
    )
    run.add_argument("--workdir", metavar="DIR", help="where the run keeps all that it writes")
    run.add_argument("--json", action="store_true", help="print the summary on stdout")
    run.set_defaults(command=_run)

    synth = commands.add_parser(
        "synth",
        help="write the demo data",
        description="Writes the demo data: gestures of a simulated wearable, as JSON Lines.",
    )
    synth.add_argument("--output", required=True, type=pathlib.Path, metavar="DIR")
    synth.add_argument("--sequences", type=_positive, default=2000, metavar="N")
    synth.add_argument("--seed", type=_not_negative, default=0, metavar="N")
    synth.set_defaults(command=_synth)
    return parser


def _run(options: argparse.Namespace) -> int:
    from pipeline import config, runner

    try:
        found = config.load(options.config, options.overrides, options.workdir)
    except config.ConfigError as error:
        _say(str(error))
        return exits.BAD_CONFIG
    try:
        outcome = runner.run(found)
    except runner.BusyError as error:
        _say(str(error))
        return exits.BUSY
    _say(_ending(outcome.summary, outcome.folder))
    if options.json:
        print(json.dumps(outcome.summary, indent=2))
    exit_code: int = outcome.summary["exit_code"]
    return exit_code


def _ending(summary: dict[str, Any], folder: pathlib.Path) -> str:
    """What a person reads last: how it went, why, and where everything is."""
    from pipeline.runner import LOG_FILE, REPORT_FILE, SUMMARY_FILE

    headline = {
        exits.DONE: "blessed",
        exits.DEFECT: f"failed; the traceback is in {folder / LOG_FILE}",
        exits.BAD_DATA: "stopped: the data cannot be used; nothing was trained or pushed",
        exits.NOT_BLESSED: "not blessed; nothing was pushed",
    }[summary["exit_code"]]
    lines = ["", headline, *(f"  {reason}" for reason in summary["verdict"]["reasons"]), ""]
    if summary["pushed"]:
        lines.append(f"encoder  {summary['pushed']['path']}")
    lines += [f"summary  {folder / SUMMARY_FILE}", f"report   {folder / REPORT_FILE}"]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _synth(options: argparse.Namespace) -> int:
    from pipeline import synth

    try:
        made = synth.write(output=options.output, sequences=options.sequences, seed=options.seed)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        _say(f"--output: expected a folder to write into, received {options.output}: {error}")
        return exits.BAD_CONFIG
    _say(
        f"{made.sequences} sequences, {made.steps} steps in {len(made.paths)} files: "
        f"{options.output}"
    )
    return exits.DONE


def _positive(text: str) -> int:
    return _at_least(1, text)


def _not_negative(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or number < least:
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least {least}, received {text!r}"
        )
    return number


if __name__ == "__main__":
    sys.exit(main())
