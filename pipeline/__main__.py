"""The command line: `ragline`, or `python -m pipeline`.

Exit codes: 0 done; 1 a defect; 2 bad configuration; 3 bad data; 4 not blessed, nothing pushed (of
`check` and `rollback`: the contract does not hold); 75 another run holds the work directory.
Progress goes to stderr, `--json` puts the summary on stdout. TensorFlow, Beam and TFX are imported
only by the commands that need them.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline import exits
from pipeline.arguments import parser

if TYPE_CHECKING:
    from pipeline.config import Config

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = parser().parse_args(arguments)
    return COMMANDS[options.command](options)


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
    from pipeline import ending, runner

    outcome = runner.run(config, options.force_bless or "", verbose=options.verbose)
    _say(ending.to_text(outcome.summary, outcome.folder))
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


COMMANDS: dict[str, Command] = {
    "check": _check,
    "compare": _compare,
    "compile": _compile,
    "encode": _encode,
    "export": _export,
    "init": _init,
    "spans": _list_spans,
    "plan": _plan,
    "report": _report,
    "rollback": _rollback,
    "run": _run,
    "synth": _synth,
    "versions": _versions,
}


if __name__ == "__main__":
    sys.exit(main())
