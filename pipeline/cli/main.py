"""The command line: `ragline`, or `python -m ragline`.

Exit codes: 0 done; 1 a defect; 2 bad configuration; 3 bad data; 4 not blessed, nothing pushed (of
`check` and `rollback`: the contract does not hold); 75 another run holds the work directory; 129,
130 and 143 ended by SIGHUP, SIGINT (Ctrl-C) and SIGTERM. Progress goes to stderr, `--json` puts the
summary on stdout. TensorFlow, Beam and TFX are imported only by the commands that need them.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ragline.components.contract import exits
from ragline.components.contract.errors import UsageError, UserError
from ragline.pipeline.cli.arguments import parser
from ragline.pipeline.runs import interrupts, terminal
from ragline.pipeline.runs.terminal import say, show

if TYPE_CHECKING:
    from ragline.pipeline.config import Config

Command = Callable[[argparse.Namespace], int]


def process() -> int:
    """Run a command in a process of its own, and return its exit code."""
    terminal.open_streams()
    with interrupts.ending_the_process():
        try:
            return main()
        finally:
            terminal.flush_or_drop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except UserError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        from ragline.pipeline.runs import machine_errors

        if (sentence := machine_errors.sentence(error)) is None:
            raise
        say(sentence)
        return exits.DEFECT


def _in_workdir(command: Callable[[argparse.Namespace, "Config"], int]) -> Command:
    """Make a command of a function that also takes the configuration."""

    def checked(options: argparse.Namespace) -> int:
        from ragline.pipeline.config import load

        return command(options, load(options.config, options.overrides, options.workdir))

    return checked


@contextlib.contextmanager
def _writing(output: pathlib.Path) -> Iterator[None]:
    """Turn an OSError on the way to `--output` into a UsageError; leave any other."""
    try:
        yield
    except OSError as error:
        if not _is_of(output, error.filename):
            raise
        raise UsageError(
            f"--output: expected a place to write to, received {output}: {error.strerror}"
        ) from error


def _is_of(output: pathlib.Path, path: str | None) -> bool:
    """Return whether a path is the output, lies in it or above it, or is its temporary file."""
    if path is None:
        return False
    output, received = output.absolute(), pathlib.Path(os.fsdecode(path)).absolute()
    return (
        output in (received, *received.parents)
        or received in output.parents
        or (received.parent == output.parent and received.name.lstrip(".").startswith(output.stem))
    )


@_in_workdir
def _run(options: argparse.Namespace, config: "Config") -> int:
    if options.spans is None:
        return _run_once(options, config)
    from ragline.pipeline.runs import spans

    exit_code = exits.DONE
    for span_config in spans.configurations(config, options.spans):
        say(f"span {span_config.input.span}")
        if entry := spans.entry_to_skip(span_config):
            say(f"done before, by run {entry.run_id}, and nothing has changed: left alone")
            exit_code = entry.exit_code
        else:
            exit_code = _run_once(options, span_config)
        if exit_code not in (exits.DONE, exits.NOT_BLESSED):
            break  # The windows of later spans would hold the faulty data of this one.
    return exit_code


def _run_once(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.cli import run_footer
    from ragline.pipeline.runs import runner

    outcome = runner.run(
        config, options.force_bless or "", options.new_signature or "", verbose=options.verbose
    )
    say(run_footer.to_text(outcome.summary, outcome.folder))
    if options.json:
        show(json.dumps(outcome.summary, indent=2))
    exit_code: int = outcome.summary["exit_code"]
    return exit_code


@_in_workdir
def _list_spans(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.runs import spans

    entries = spans.journal(config)
    if options.json:
        show(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=2))
    else:
        show(spans.markdown(entries))
    return exits.DONE


def _init(options: argparse.Namespace) -> int:
    from ragline.pipeline.onboard import init

    with _writing(options.output):
        written = init.write(options.input, options.output, options.format)
    say(written.to_text())
    return exits.DONE


@_in_workdir
def _plan(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.onboard import plan, plan_text

    run_plan = plan.plan_run(config)
    if options.json:
        show(json.dumps(plan_text.to_dict(run_plan), indent=2))
    else:
        show(plan_text.to_text(run_plan))
    return exits.BAD_DATA if run_plan.stops else exits.DONE


@_in_workdir
def _compare(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.report import comparison
    from ragline.pipeline.runs import runner

    rows = runner.compare(config, verbose=options.verbose)
    show(json.dumps(rows, indent=2) if options.json else comparison.markdown(rows))
    return exits.DONE


@_in_workdir
def _compile(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.runs import kubeflow

    show(json.dumps(kubeflow.specification(config, options.kubeflow), indent=2))
    return exits.DONE


@_in_workdir
def _versions(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.served import versions

    rows = versions.rows(config)
    show(json.dumps(rows, indent=2) if options.json else versions.markdown(rows))
    return exits.DONE


@_in_workdir
def _clean(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.cache import clean

    cleaning = clean.clean(config, dry=options.dry_run)
    show(json.dumps(cleaning.to_dict(), indent=2) if options.json else cleaning.to_text())
    return exits.DONE


@_in_workdir
def _rollback(options: argparse.Namespace, config: "Config") -> int:
    from ragline.pipeline.served import versions

    result, text = versions.roll_back(config, why=options.why, to=options.to)
    say(text)
    if options.json:
        show(json.dumps(result, indent=2))
    return exits.DONE if result["pushed"] else exits.NOT_BLESSED


def _check(options: argparse.Namespace) -> int:
    from ragline.components.push.contract import check

    checked = check.check(options.model, trust=options.trust)
    if options.json:
        show(json.dumps(checked.to_dict(options.model), indent=2))
    else:
        show(checked.to_text(options.model))
    return exits.NOT_BLESSED if checked.violations else exits.DONE


def _encode(options: argparse.Namespace) -> int:
    from ragline.pipeline.bulk import encode_files

    request = encode_files.read_request(
        options.source,
        options.input,
        options.overrides,
        options.workdir,
        options.max_drift,
        options.errors,
    )
    summary = encode_files.encode(request, options.output)
    for warning in summary["warnings"]:
        say(f"warning: {warning}")
    say(
        f"{summary['read']} records: {summary['encoded']} encoded, "
        f"{summary['quarantined']} quarantined\n"
        f"{summary['sequences']} embeddings in {len(summary['parts'])} parts: {options.output}"
    )
    if options.json:
        show(json.dumps(summary, indent=2))
    return exits.DONE


def _export(options: argparse.Namespace) -> int:
    try:
        from ragline.components.export import write
    except ImportError as error:
        raise UsageError(
            f"export: expected {error.name}, which `pip install ragline[export]` brings"
        ) from error
    if not options.trust:
        _check_operations(options.encoder)
    with _writing(options.output):
        figure = write.onnx(options.encoder, options.output)
    say(f"{options.output}: in onnxruntime, at most {figure:.1e} from the SavedModel's embeddings")
    return exits.DONE


def _check_operations(model: pathlib.Path) -> None:
    """Refuse a model that ragline did not export, before any of it is loaded."""
    from ragline.components.push.contract import graph

    try:
        strange = graph.foreign_ops(model)
    except (OSError, ValueError) as error:
        raise UsageError(f"{model}: expected a SavedModel: {error}") from error
    if strange:
        raise UsageError(
            f"{model}: expected a model that ragline exported, received one with other operations, "
            f"which is not loaded unless --trust says so; {strange[0]}"
        )


def _report(options: argparse.Namespace) -> int:
    from ragline.pipeline.report import html_page

    if options.output is None:
        show(str(html_page.write_again(options.run)))
    else:
        with _writing(options.output):
            show(str(html_page.write_again(options.run, options.output)))
    return exits.DONE


def _synth(options: argparse.Namespace) -> int:
    from ragline.pipeline.demo import synth

    with _writing(options.output):
        data = synth.write(output=options.output, sequences=options.sequences, seed=options.seed)
    say(
        f"{data.sequences} sequences, {data.steps} steps in {len(data.paths)} files: "
        f"{options.output}"
    )
    return exits.DONE


@_in_workdir
def _worker(options: argparse.Namespace, config: "Config") -> int:
    from ragline.components.train.loop import multiworker
    from ragline.components.train.loop.cluster import read_cluster
    from ragline.pipeline.cache import cache_key

    if config.train.strategy != "multi_worker":
        raise UsageError(
            f"train.strategy: expected 'multi_worker', received {config.train.strategy!r}"
        )
    cluster = read_cluster(os.environ, is_chief=False)
    say(
        f"worker {cluster.index} of {len(cluster.workers)}: waits for trainings in {config.workdir}"
    )
    source = cache_key.source()
    multiworker.run_worker(pathlib.Path(config.workdir), source, say)


COMMANDS: dict[str, Command] = {
    "check": _check,
    "clean": _clean,
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
    "worker": _worker,
}
