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
        print(error, file=sys.stderr)
        return runner.BAD_CONFIG
    try:
        outcome = runner.run(found)
    except runner.BusyError as error:
        print(error, file=sys.stderr)
        return runner.BUSY
    if options.json:
        print(json.dumps(outcome.summary, indent=2))
    return outcome.exit_code


def _synth(options: argparse.Namespace) -> int:
    from pipeline import synth

    made = synth.write(output=options.output, sequences=options.sequences, seed=options.seed)
    print(
        f"{made.sequences} sequences, {made.steps} steps in {len(made.paths)} files: "
        f"{options.output}",
        file=sys.stderr,
    )
    return 0


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {text}")
    return number


def _not_negative(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"expected at least 0, received {text}")
    return number


if __name__ == "__main__":
    sys.exit(main())
