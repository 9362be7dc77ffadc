"""Run `run`, and the commands that show, compare, schedule and clean up runs."""

import argparse
import dataclasses
import json
import os
import pathlib
from typing import TYPE_CHECKING

from ragline.components.contract import exits
from ragline.components.contract.errors import UsageError
from ragline.pipeline.cli.command import in_workdir, of_runs, writing
from ragline.pipeline.runs.terminal import say, show

if TYPE_CHECKING:
    from ragline.pipeline.config import Config


@in_workdir
def run(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline run`."""
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


@of_runs
def list_spans(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline spans`."""
    from ragline.pipeline.runs import spans

    entries = spans.journal(config)
    if options.json:
        show(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=2))
    else:
        show(spans.markdown(entries))
    return exits.DONE


@in_workdir
def compare(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline compare`."""
    from ragline.pipeline.report import comparison
    from ragline.pipeline.runs import runner

    rows = runner.compare(config, verbose=options.verbose)
    show(json.dumps(rows, indent=2) if options.json else comparison.markdown(rows))
    return exits.DONE


@in_workdir
def compile_pipeline(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline compile`."""
    from ragline.pipeline.runs import kubeflow

    show(json.dumps(kubeflow.specification(config, options.kubeflow), indent=2))
    return exits.DONE


@of_runs
def clean(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline clean`."""
    from ragline.pipeline.cache import clean

    cleaning = clean.clean(config, dry=options.dry_run)
    show(json.dumps(cleaning.to_dict(), indent=2) if options.json else cleaning.to_text())
    return exits.DONE


def report(options: argparse.Namespace) -> int:
    """Run `ragline report`."""
    from ragline.pipeline.report import html_page

    if options.output is None:
        show(str(html_page.write_again(options.run)))
    else:
        with writing(options.output):
            show(str(html_page.write_again(options.run, options.output)))
    return exits.DONE


def open_report(options: argparse.Namespace) -> int:
    """Run `ragline open`."""
    import webbrowser

    from ragline.pipeline.report.find_run import find
    from ragline.pipeline.runs.workdir import REPORT_FILE

    page = find(options.run, REPORT_FILE).resolve() / REPORT_FILE
    show(str(page))
    if not webbrowser.open(page.as_uri()):
        say("no browser: expected one on this machine; open the page in another way")
    return exits.DONE


def diff(options: argparse.Namespace) -> int:
    """Run `ragline diff`."""
    from ragline.pipeline.report import run_diff

    differences = run_diff.diff(options.before, options.after)
    if options.json:
        show(json.dumps(differences, indent=2))
    else:
        show(run_diff.to_text(differences), fit=True)
    return exits.DONE


@in_workdir
def worker(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline worker`."""
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
