"""Add the arguments of `run`, and of what shows, compares, schedules and cleans up runs."""

import pathlib

from ragline.pipeline.cli.parsing import (
    Commands,
    add_config,
    add_json,
    add_verbose,
    reason,
    spans,
)

_A_RUN = "runs/<run id>; or a work directory or a configuration, for its newest run"


def add_run(commands: Commands) -> None:
    """Add `run`."""
    run = commands.add_parser(
        "run",
        help="the whole pipeline, from raw files to a pushed encoder",
        description="Runs the whole pipeline: ingest, validate, transform, train, evaluate, push.",
        examples=(
            "ragline run ragline.toml",
            "ragline run ragline.toml --set train.epochs=5 --workdir trial",
            "ragline run nightly.toml --date 2026-11-20",
        ),
    )
    add_config(run)
    run.add_argument(
        "--force-bless",
        type=reason,
        metavar="WHY",
        help="bless the model though rules do not hold; the reason is kept with it. A model that "
        "gives values that are not finite, or fails the padding contract, is never blessed",
    )
    run.add_argument(
        "--new-signature",
        type=reason,
        metavar="WHY",
        help="let the encoder have other features or categories, or an embedding of another size, "
        "than the served one; the reason is kept with it",
    )
    newest = run.add_mutually_exclusive_group()
    newest.add_argument(
        "--span",
        type=spans("parse"),
        metavar="N",
        dest="spans",
        help="the newest span to read, of an input with {SPAN} or a date in its pattern; 1..30 "
        "runs one after the other, and goes on where it was stopped",
    )
    newest.add_argument(
        "--date",
        type=spans("parse_date"),
        metavar="DAY",
        dest="spans",
        help="the same by its date, such as 2026-11-20: span 20777, the days since 1970-01-01",
    )
    add_verbose(run)


def add_open(commands: Commands) -> None:
    """Add `open`."""
    opened = commands.add_parser(
        "open",
        help="open the report of the newest run in a browser",
        description="Opens report.html of a run in a browser, and prints where it is.",
        examples=("ragline open ragline.toml", "ragline open work/runs/20261120-120000-3fa4"),
    )
    opened.add_argument("run", metavar="RUN", help=_A_RUN)


def add_report(commands: Commands) -> None:
    """Add `report`."""
    report = commands.add_parser(
        "report",
        help="write the report of a run anew",
        description="Writes report.html anew from what the run kept: one page that needs no "
        "network. Prints where it is.",
        examples=("ragline report work", "ragline report work --output to-send.html"),
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


def add_diff(commands: Commands) -> None:
    """Add `diff`."""
    diff = commands.add_parser(
        "diff",
        help="what differs between two runs: options, data, metrics",
        description="Prints what differs between two runs: options, data, and metrics by slice and "
        "by feature.",
        examples=("ragline diff work/runs/A work/runs/B", "ragline diff first.toml second.toml"),
    )
    for name, what in (("before", _A_RUN), ("after", "another one")):
        diff.add_argument(name, metavar="RUN", help=what)
    add_json(diff)


def add_spans(commands: Commands) -> None:
    """Add `spans`."""
    listed = commands.add_parser(
        "spans",
        help="list every run over a span",
        description="Prints the journal of `ragline run --span` as a table (Markdown), newest run "
        "first.",
        examples=("ragline spans nightly.toml",),
    )
    add_config(listed)


def add_clean(commands: Commands) -> None:
    """Add `clean`."""
    clean = commands.add_parser(
        "clean",
        help="remove what [keep] does not keep of earlier runs",
        description="Removes what each run removes at its end, by hand: artifacts, reports, logs "
        "and rejected records of earlier runs that [keep] of the configuration does not keep, and "
        "prints their bytes and paths. What is served, what is cached, and what ragline did not "
        "make, is never removed. Ends with 75 if a run holds the work directory.",
        examples=("ragline clean ragline.toml --dry-run",),
    )
    add_config(clean)
    clean.add_argument(
        "--dry-run", action="store_true", help="remove nothing; print what would be removed"
    )


def add_compare(commands: Commands) -> None:
    """Add `compare`."""
    compare = commands.add_parser(
        "compare",
        help="train every padding strategy, side by side",
        description="Trains every strategy of train.padding on the same data and seed, scores all "
        "by the same masked metrics, prints one table (Markdown) on stdout, and pushes nothing.",
        examples=("ragline compare ragline.toml --set train.epochs=5",),
    )
    add_config(compare)
    add_verbose(compare)


def add_compile(commands: Commands) -> None:
    """Add `compile`."""
    compiled = commands.add_parser(
        "compile",
        help="write the pipeline for Kubeflow Pipelines",
        description="Writes the pipeline as a specification (JSON) that Kubeflow Pipelines runs, "
        "on stdout. The paths of the configuration must be those that its containers see.",
        examples=("ragline compile ragline.toml --kubeflow registry.example/ragline:1 > p.json",),
    )
    add_config(compiled)
    compiled.add_argument(
        "--kubeflow", required=True, metavar="IMAGE", help="the image in which every stage runs"
    )


def add_worker(commands: Commands) -> None:
    """Add `worker`."""
    worker = commands.add_parser(
        "worker",
        help="train with a run on another machine",
        description="Takes part in every training of runs in the same work directory, until it is "
        "ended. The configuration has train.strategy = 'multi_worker'; TF_CONFIG names all "
        "machines and which of them this is. Writes nothing.",
        examples=("TF_CONFIG=... ragline worker ragline.toml",),
    )
    add_config(worker)
