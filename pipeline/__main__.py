"""The command line: `ragline`, or `python -m pipeline`.

Exit codes: 0 done; 1 a defect; 2 bad configuration; 3 bad data; 4 not blessed, nothing pushed (of
`check` and `rollback`: the contract does not hold); 75 another run holds the work directory.
Progress goes to stderr, `--json` puts the summary on stdout. TensorFlow, Beam and TFX are imported
only by the commands that need them.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
    newest = run.add_mutually_exclusive_group()
    newest.add_argument(
        "--span",
        type=_spans("parse"),
        metavar="N",
        dest="spans",
        help="the newest span to read, of an input with {SPAN} or a date in its pattern; 1..30 "
        "runs one after the other, and goes on where it was stopped",
    )
    newest.add_argument(
        "--date",
        type=_spans("of_date"),
        metavar="DAY",
        dest="spans",
        help="the same by its date, such as 2026-11-20: span 20777, the days since 1970-01-01",
    )
    run.set_defaults(command=_run)

    spans = commands.add_parser(
        "spans",
        help="list every run over a span",
        description="Prints the journal of `ragline run --span` as a table (Markdown), newest run "
        "first.",
    )
    _add_config(spans)
    spans.set_defaults(command=_list_spans)

    compare = commands.add_parser(
        "compare",
        help="train every way to keep padding out, side by side",
        description="Trains every strategy of train.padding on the same data and seed, scores all "
        "by the same masked metrics, prints one table (Markdown) on stdout, and pushes nothing.",
    )
    _add_config(compare)
    compare.set_defaults(command=_compare)

    compiled = commands.add_parser(
        "compile",
        help="write the pipeline for Kubeflow Pipelines",
        description="Writes the pipeline as a specification (JSON) that Kubeflow Pipelines runs, "
        "on stdout. The paths of the configuration must be those that its containers see.",
    )
    _add_config(compiled)
    compiled.add_argument(
        "--kubeflow", required=True, metavar="IMAGE", help="the image in which every stage runs"
    )
    compiled.set_defaults(command=_compile)

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


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", metavar="CONFIG", help="a TOML file; see examples/")
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
    if options.spans is None:
        return _run_once(options, config)
    from pipeline import spans

    exit_code = exits.DONE
    for of_span in spans.configurations(config, options.spans):
        _say(f"span {of_span.input.span}")
        if entry := spans.done(of_span):
            _say(f"done before, by run {entry.run_id}, and nothing has changed: left alone")
            exit_code = entry.exit_code
        else:
            exit_code = _run_once(options, of_span)
        if exit_code not in (exits.DONE, exits.NOT_BLESSED):
            break  # A later span's window would hold what is wrong with this one.
    return exit_code


def _run_once(options: argparse.Namespace, config: "Config") -> int:
    from pipeline import runner

    outcome = runner.run(config, options.force_bless or "")
    _say(_ending(outcome.summary, outcome.folder))
    if options.json:
        print(json.dumps(outcome.summary, indent=2))
    exit_code: int = outcome.summary["exit_code"]
    return exit_code


@_in_workdir
def _list_spans(options: argparse.Namespace, config: "Config") -> int:
    from pipeline import spans

    entries = spans.journal(config)
    if options.json:
        print(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=2))
    else:
        print(spans.markdown(entries))
    return exits.DONE


def _ending(summary: dict[str, Any], folder: pathlib.Path) -> str:
    """What a person reads last: how it went, why, and where everything is."""
    from pipeline.workdir import LOG_FILE, REPORT_FILE, SUMMARY_FILE

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


@_in_workdir
def _compare(options: argparse.Namespace, config: "Config") -> int:
    from components.errors import BadDataError
    from pipeline import comparison, runner

    try:
        rows = runner.compare(config)
    except BadDataError as error:
        _say(str(error))
        return exits.BAD_DATA
    except runner.FailedError as error:
        _say(str(error))
        return exits.DEFECT
    print(json.dumps(rows, indent=2) if options.json else comparison.markdown(rows))
    return exits.DONE


@_in_workdir
def _compile(options: argparse.Namespace, config: "Config") -> int:
    from components.errors import BadDataError
    from pipeline import kubeflow

    try:
        print(json.dumps(kubeflow.specification(config, options.kubeflow), indent=2))
    except BadDataError as error:
        _say(str(error))
        return exits.BAD_DATA
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


def _spans(how: str) -> Callable[[str], range]:
    """A type of argparse; late, so that `--help` imports nothing."""

    def read(text: str) -> range:
        from pipeline import spans

        try:
            found: range = getattr(spans, how)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return found

    return read


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
