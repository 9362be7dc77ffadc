"""The command line: `ragline`, or `python -m pipeline`.

Exit codes: 0 done; 1 a defect; 2 bad configuration; 3 bad data; 4 not blessed, nothing pushed (of
`check` and `rollback`: the contract does not hold); 75 another run holds the work directory.
Progress goes to stderr, `--json` puts the summary on stdout. TensorFlow, Beam and TFX are imported
only by the commands that need them.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline import exits

if TYPE_CHECKING:
    from pipeline.config import Config

Command = Callable[[argparse.Namespace], int]


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
    _add_config(run)
    run.add_argument(
        "--force-bless",
        type=_reason,
        metavar="WHY",
        help="bless the model though rules do not hold; the reason is kept with it. A model that "
        "answers with numbers that are not finite, or that fails the padding contract, never is",
    )
    _add_verbose(run)
    run.set_defaults(command=_run)

    init = commands.add_parser(
        "init",
        help="write a configuration and a schema for a folder of files",
        description="Looks at the beginnings of files, guesses what their columns mean, says why, "
        "and writes a commented configuration and the schema to curate, which work as they are. "
        "Overwrites nothing.",
    )
    init.add_argument("--input", required=True, metavar="PATTERN", help="such as 'data/*.csv'")
    init.add_argument(
        "--output", type=pathlib.Path, default="ragline.toml", metavar="FILE", help="a TOML file"
    )
    init.set_defaults(command=_init)

    plan = commands.add_parser(
        "plan",
        help="what a run would find and do, from a sample of the input, in seconds",
        description="Reads a sample of the input, and prints what it holds, what a run would do "
        "with it, and what is wrong. Runs and writes nothing. Ends with 3 if the run would be "
        "stopped by its data, or its model could not be blessed.",
    )
    _add_config(plan)
    plan.set_defaults(command=_plan)

    compare = commands.add_parser(
        "compare",
        help="train every way to keep padding out, side by side",
        description="Trains every strategy of train.padding on the same data and seed, scores all "
        "by the same masked metrics, prints one table (Markdown) on stdout, and pushes nothing.",
    )
    _add_config(compare)
    _add_verbose(compare)
    compare.set_defaults(command=_compare)

    check = commands.add_parser(
        "check",
        help="prove that padding has no effect on an encoder",
        description="Holds a SavedModel with a signature `encode` (values [B, T, F], length [B] -> "
        "embedding [B, E]) to the padding contract, wherever it comes from. Ends with 0 if the "
        "contract holds, with 4 if it does not, with 2 if there is nothing to check.",
    )
    check.add_argument("model", type=pathlib.Path, metavar="MODEL", help="folder of a SavedModel")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.set_defaults(command=_check)

    versions = commands.add_parser(
        "versions",
        help="list every version that was ever pushed",
        description="Prints the ledger of a work directory as a table (Markdown), newest first.",
    )
    _add_config(versions)
    versions.set_defaults(command=_versions)

    rollback = commands.add_parser(
        "rollback",
        help="make an earlier version the newest again",
        description="Makes a copy of an earlier version the newest, by the same checks as a push, "
        "and withdraws the model that was the newest: no run pushes it again, until a rollback to "
        "it lifts that. Ends with 0 if it is done, with 4 if the earlier version does not pass its "
        "check, with 75 if a run holds the work directory.",
    )
    _add_config(rollback)
    rollback.add_argument(
        "--to", type=_positive, metavar="VERSION", help="by default the newest of another model"
    )
    rollback.add_argument(
        "--why", required=True, metavar="TEXT", help="a sentence that the ledger keeps"
    )
    rollback.set_defaults(command=_rollback)

    encode = commands.add_parser(
        "encode",
        help="embeddings of raw files, as Parquet",
        description="Encodes raw files of any format of ingest, by the newest encoder of a "
        "configuration, whose [input] says how they are read, or by a given one. Writes Parquet "
        "files with the sequences' ids; called again after it was cut off, it goes on. Ends with 0 "
        "if it is done, with 3 if the files cannot be used, with 75 if another process encodes "
        "into the same folder.",
    )
    _add_config(
        encode, "source", "CONFIG|ENCODER", "a TOML file, or the folder of a pushed encoder"
    )
    encode.add_argument("--input", required=True, metavar="PATTERN", help="the raw files")
    encode.add_argument(
        "--output", required=True, type=pathlib.Path, metavar="DIR", help="where the parts go"
    )
    encode.set_defaults(command=_encode)

    export = commands.add_parser(
        "export",
        help="an encoder for another runtime",
        description="Writes a pushed encoder as one file for another runtime, standardisation "
        "inside, once it gives the SavedModel's embeddings there. Needs ragline[export].",
    )
    export.add_argument(
        "encoder", type=pathlib.Path, metavar="ENCODER", help="folder of a pushed encoder"
    )
    export.add_argument("--format", required=True, choices=["onnx"])
    export.add_argument("--output", required=True, type=pathlib.Path, metavar="FILE")
    export.set_defaults(command=_export)

    report = commands.add_parser(
        "report",
        help="write the report of a run anew",
        description="Writes report.html anew from what the run kept: one page that needs no "
        "network. Prints where it is.",
    )
    report.add_argument(
        "run", type=pathlib.Path, metavar="DIR", help="runs/<run id>, or a work directory"
    )
    report.set_defaults(command=_report)

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


def _add_config(
    command: argparse.ArgumentParser,
    name: str = "config",
    metavar: str = "CONFIG",
    what: str = "a TOML file; see examples/",
) -> None:
    command.add_argument(name, metavar=metavar, help=what)
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="in place of the file's value, such as train.epochs=5; may be given again",
    )
    command.add_argument("--workdir", metavar="DIR", help="where the run keeps all that it writes")
    command.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _add_verbose(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-v", "--verbose", action="store_true", help="show the log, too, which is kept in log.txt"
    )


def _in_workdir(command: Callable[[argparse.Namespace, "Config"], int]) -> Command:
    """A command that runs in a work directory: its configuration read, its mistakes told."""

    def checked(options: argparse.Namespace) -> int:
        from pipeline.config import ConfigError, load
        from pipeline.trouble import TroubleError, sentence
        from pipeline.workdir import BusyError

        workdir = pathlib.Path(os.curdir)
        try:
            config = load(options.config, options.overrides, options.workdir)
            workdir = pathlib.Path(config.workdir)
            return command(options, config)
        except ConfigError as error:
            _say(str(error))
            return exits.BAD_CONFIG
        except BusyError as error:
            _say(str(error))
            return exits.BUSY
        except TroubleError as error:
            _say(str(error))
            return exits.DEFECT
        except OSError as error:  # Outside of the stages, as when the report is written.
            told = sentence(error, workdir)
            if told is None:
                raise
            _say(told)
            return exits.DEFECT

    return checked


@_in_workdir
def _run(options: argparse.Namespace, config: "Config") -> int:
    from pipeline import ending, runner

    outcome = runner.run(config, options.force_bless or "", verbose=options.verbose)
    _say(ending.to_text(outcome.summary, outcome.folder))
    if options.json:
        print(json.dumps(outcome.summary, indent=2))
    exit_code: int = outcome.summary["exit_code"]
    return exit_code


def _init(options: argparse.Namespace) -> int:
    from components.errors import BadDataError
    from pipeline import init
    from pipeline.guess import GuessError

    try:
        written = init.write(options.input, options.output)
    except BadDataError as error:
        _say(str(error))
        return exits.BAD_DATA
    except (init.ExistsError, GuessError) as error:
        _say(str(error))
        return exits.BAD_CONFIG
    except OSError as error:
        _say(f"--output: {options.output}: {error.strerror}")
        return exits.BAD_CONFIG
    _say(written.to_text())
    return exits.DONE


@_in_workdir
def _plan(options: argparse.Namespace, config: "Config") -> int:
    from components.errors import BadDataError
    from pipeline import plan, plan_text

    try:
        found = plan.look(config)
    except BadDataError as error:
        _say(str(error))
        return exits.BAD_DATA
    print(
        json.dumps(plan_text.to_dict(found), indent=2) if options.json else plan_text.to_text(found)
    )
    return exits.BAD_DATA if found.stops else exits.DONE


@_in_workdir
def _compare(options: argparse.Namespace, config: "Config") -> int:
    from components.errors import BadDataError
    from pipeline import comparison, runner

    try:
        rows = runner.compare(config, verbose=options.verbose)
    except BadDataError as error:
        _say(str(error))
        return exits.BAD_DATA
    except runner.FailedError as error:
        _say(str(error))
        return exits.DEFECT
    print(json.dumps(rows, indent=2) if options.json else comparison.markdown(rows))
    return exits.DONE


@_in_workdir
def _versions(options: argparse.Namespace, config: "Config") -> int:
    from pipeline import served

    rows = served.rows(config)
    print(json.dumps(rows, indent=2) if options.json else served.markdown(rows))
    return exits.DONE


@_in_workdir
def _rollback(options: argparse.Namespace, config: "Config") -> int:
    from pipeline import served

    result, text = served.roll_back(config, why=options.why, to=options.to)
    _say(text)
    if options.json:
        print(json.dumps(result, indent=2))
    return exits.DONE if result["pushed"] else exits.NOT_BLESSED


def _check(options: argparse.Namespace) -> int:
    from components.push import check

    try:
        checked = check.check(options.model)
    except check.NoEncoderError as error:
        _say(str(error))
        return exits.BAD_CONFIG
    if options.json:
        print(json.dumps(checked.to_dict(options.model), indent=2))
    else:
        print(checked.to_text(options.model))
    return exits.NOT_BLESSED if checked.violations else exits.DONE


def _encode(options: argparse.Namespace) -> int:
    from components.errors import BadDataError
    from pipeline import encode
    from pipeline.config import ConfigError
    from pipeline.trouble import TroubleError
    from pipeline.workdir import BusyError

    try:
        asked = encode.request(options.source, options.input, options.overrides, options.workdir)
        found = encode.encode(asked, options.output)
    except ConfigError as error:
        _say(str(error))
        return exits.BAD_CONFIG
    except BadDataError as error:
        _say(str(error))
        return exits.BAD_DATA
    except BusyError as error:
        _say(str(error))
        return exits.BUSY
    except TroubleError as error:
        _say(str(error))
        return exits.DEFECT
    _say(
        f"{found['read']} records: {found['encoded']} encoded, {found['quarantined']} quarantined\n"
        f"{found['sequences']} embeddings in {len(found['parts'])} parts: {options.output}"
    )
    if options.json:
        print(json.dumps(found, indent=2))
    return exits.DONE


def _export(options: argparse.Namespace) -> int:
    try:
        from components.export import saved_model, write
    except ImportError as error:
        _say(f"export: expected {error.name}, which `pip install ragline[export]` brings")
        return exits.BAD_CONFIG
    try:
        figure = write.onnx(options.encoder, options.output)
    except saved_model.CannotExportError as error:
        _say(str(error))
        return exits.BAD_CONFIG
    except OSError as error:
        _say(f"--output: {options.output}: {error.strerror}")
        return exits.BAD_CONFIG
    _say(f"{options.output}: in onnxruntime, at most {figure:.1e} from the SavedModel's embeddings")
    return exits.DONE


def _report(options: argparse.Namespace) -> int:
    from pipeline import report

    try:
        print(report.write_again(options.run))
    except report.NoRunError as error:
        _say(str(error))
        return exits.BAD_CONFIG
    except OSError as error:
        _say(f"{error.filename or options.run}: {error.strerror}")
        return exits.DEFECT
    return exits.DONE


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


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected the reason, received an empty text")
    return text.strip()


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
