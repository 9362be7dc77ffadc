"""Parse the command line of `ragline`; main.py runs the commands.

Only what `--help` needs is imported here.
"""

import argparse
import importlib.metadata
import pathlib
from collections.abc import Callable
from typing import TypeAlias

from ragline.components.ingest import formats

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; its result `command` is the name of the chosen one."""
    parser = argparse.ArgumentParser(
        prog="ragline",
        description="Raw variable-length sequences in, a served encoder out.",
    )
    version = importlib.metadata.version("ragline")
    parser.add_argument("--version", action="version", version=f"ragline {version}")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )

    for add in (
        _add_run,
        _add_init,
        _add_plan,
        _add_spans,
        _add_compare,
        _add_compile,
        _add_check,
        _add_versions,
        _add_clean,
        _add_rollback,
        _add_encode,
        _add_export,
        _add_report,
        _add_worker,
        _add_synth,
    ):
        add(commands)
    return parser


def _add_run(commands: _Commands) -> None:
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
        "gives values that are not finite, or fails the padding contract, is never blessed",
    )
    run.add_argument(
        "--new-signature",
        type=_reason,
        metavar="WHY",
        help="let the encoder have other features or categories, or an embedding of another size, "
        "than the served one; the reason is kept with it",
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
        type=_spans("parse_date"),
        metavar="DAY",
        dest="spans",
        help="the same by its date, such as 2026-11-20: span 20777, the days since 1970-01-01",
    )
    _add_verbose(run)


def _add_init(commands: _Commands) -> None:
    init = commands.add_parser(
        "init",
        help="write a configuration and a schema for a folder of files",
        description="Looks at files, of very large ones at ranges all over them, guesses what "
        "their columns mean, says why, and writes a commented configuration and the schema to "
        "curate, which work as they are. Overwrites nothing.",
    )
    init.add_argument("--input", required=True, metavar="PATTERN", help="such as 'data/*.csv'")
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


def _add_plan(commands: _Commands) -> None:
    plan = commands.add_parser(
        "plan",
        help="what a run would find and do, from a sample of the input, in seconds",
        description="Reads a sample of the input, and prints what it holds, what a run would do "
        "with it, and what is wrong. Runs and writes nothing. Ends with 3 if the data would stop "
        "the run, or its model could not be blessed.",
    )
    _add_config(plan)


def _add_spans(commands: _Commands) -> None:
    spans = commands.add_parser(
        "spans",
        help="list every run over a span",
        description="Prints the journal of `ragline run --span` as a table (Markdown), newest run "
        "first.",
    )
    _add_config(spans)


def _add_compare(commands: _Commands) -> None:
    compare = commands.add_parser(
        "compare",
        help="train every padding strategy, side by side",
        description="Trains every strategy of train.padding on the same data and seed, scores all "
        "by the same masked metrics, prints one table (Markdown) on stdout, and pushes nothing.",
    )
    _add_config(compare)
    _add_verbose(compare)


def _add_compile(commands: _Commands) -> None:
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


def _add_check(commands: _Commands) -> None:
    check = commands.add_parser(
        "check",
        help="prove that padding has no effect on an encoder",
        description="Checks the padding contract of any SavedModel with a signature `encode` "
        "(values [B, T, F], length [B] -> embedding [B, E]). Ends with 0 if the contract holds, "
        "with 4 if it does not, with 2 if there is nothing to check.",
    )
    check.add_argument("model", type=pathlib.Path, metavar="MODEL", help="folder of a SavedModel")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.add_argument(
        "--trust",
        action="store_true",
        help="load it even if it has operations that reach out of it",
    )


def _add_versions(commands: _Commands) -> None:
    versions = commands.add_parser(
        "versions",
        help="list every version that was ever pushed",
        description="Prints the ledger of a work directory as a table (Markdown), newest first.",
    )
    _add_config(versions)


def _add_clean(commands: _Commands) -> None:
    clean = commands.add_parser(
        "clean",
        help="remove what [keep] does not keep of earlier runs",
        description="Removes what each run removes at its end, by hand: artifacts, reports, logs "
        "and rejected records of earlier runs that [keep] of the configuration does not keep, and "
        "prints their bytes and paths. What is served, what is cached, and what ragline did not "
        "make, is never removed. Ends with 75 if a run holds the work directory.",
    )
    _add_config(clean)
    clean.add_argument(
        "--dry-run", action="store_true", help="remove nothing; print what would be removed"
    )


def _add_rollback(commands: _Commands) -> None:
    rollback = commands.add_parser(
        "rollback",
        help="make an earlier version the newest again",
        description="Makes a copy of an earlier version the newest, by the same checks as a push, "
        "and withdraws the model that was the newest: no run pushes it again, until a rollback to "
        "it. Ends with 0 if it is done, with 4 if the earlier version does not pass its "
        "check, with 75 if a run holds the work directory.",
    )
    _add_config(rollback)
    rollback.add_argument(
        "--to", type=_positive, metavar="VERSION", help="by default the newest of another model"
    )
    rollback.add_argument(
        "--why", required=True, metavar="TEXT", help="a sentence that the ledger keeps"
    )


def _add_encode(commands: _Commands) -> None:
    encode = commands.add_parser(
        "encode",
        help="embeddings of raw files, as Parquet",
        description="Encodes raw files of any format of ingest, by the newest encoder of a "
        "configuration, whose [input] says how they are read, or by a given one. Writes Parquet "
        "files with the sequences' ids; called again after it was cut off, it resumes. Ends with 0 "
        "if it is done, with 3 if the files cannot be used, with 75 if another process encodes "
        "into the same folder.",
    )
    _add_config(
        encode, "source", "CONFIG|ENCODER", "a TOML file, or the folder of a pushed encoder"
    )
    encode.add_argument("--input", required=True, metavar="PATTERN", help="the raw files")
    encode.add_argument("--output", required=True, metavar="DIR", help="where the parts go")
    encode.add_argument(
        "--max-drift",
        type=_positive,
        metavar="TIMES",
        help="stop if the mean of a feature is so many standard deviations from the training data, "
        "or its spread so many times theirs, either way, or most words of a category are unknown",
    )
    encode.add_argument(
        "--errors",
        action="store_true",
        help="also compute each sequence's reconstruction error, by the decoder and TensorFlow, in "
        "several times the time",
    )
    encode.set_defaults(command="encode")


def _add_export(commands: _Commands) -> None:
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
    export.add_argument(
        "--trust",
        action="store_true",
        help="load it even if it has operations that ragline does not export",
    )


def _add_report(commands: _Commands) -> None:
    report = commands.add_parser(
        "report",
        help="write the report of a run anew",
        description="Writes report.html anew from what the run kept: one page that needs no "
        "network. Prints where it is.",
    )
    report.add_argument(
        "run", type=pathlib.Path, metavar="DIR", help="runs/<run id>, or a work directory"
    )
    report.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="FILE",
        help="a page with everything inside, to be sent; by default the run's own",
    )


def _add_worker(commands: _Commands) -> None:
    worker = commands.add_parser(
        "worker",
        help="train with a run on another machine",
        description="Takes part in every training of runs in the same work directory, until it is "
        "ended. The configuration has train.strategy = 'multi_worker'; TF_CONFIG names all "
        "machines and which of them this is. Writes nothing.",
    )
    _add_config(worker)


def _add_synth(commands: _Commands) -> None:
    synth = commands.add_parser(
        "synth",
        help="write the demo data",
        description="Writes the demo data: gestures of a simulated wearable, as JSON Lines.",
    )
    synth.add_argument("--output", required=True, type=pathlib.Path, metavar="DIR")
    synth.add_argument("--sequences", type=_positive, default=2000, metavar="N")
    synth.add_argument("--seed", type=_not_negative, default=0, metavar="N")


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


def _spans(parser_name: str) -> Callable[[str], range]:
    """Make an argparse type of a function of `spans`, imported late: `--help` needs none of it."""

    def read(text: str) -> range:
        from ragline.pipeline.runs import spans

        try:
            numbers: range = getattr(spans, parser_name)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return numbers

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
