"""Write report.html from summary.json and reconstruction_samples.json; the page needs no network.

    WORKDIR/plotly-<digest>.min.js   the library that draws, 5 MB, once for all reports
    WORKDIR/runs/<id>/report.html    a page that loads it

`ragline report DIR --output FILE` writes a page with the library inside, to be sent.

`render` is pure. The page shows the summary's numbers unchanged, and formats them.
`figures.py` has the plots, `report.js` draws them. Every text goes through the template, which
escapes it. A value that is missing or not finite (null in the summary) is shown as a dash and not
drawn.
"""

import functools
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jinja2
import plotly.offline

from ragline.components.contract.columns import LENGTH_BUCKET, SEQUENCE_ID
from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import BASELINES, MODEL
from ragline.components.evaluate.metrics.formulas import MASKED_MSE, NORMALISED_MSE
from ragline.components.evaluate.metrics.slices import OVERALL, parts_of
from ragline.components.evaluate.verdict.rules import NEWEST, PCA, UNTRAINED
from ragline.components.files.storage import read_json, standard, write_bytes, write_text
from ragline.pipeline.report import comparison, figures, sample_figures
from ragline.pipeline.report.figures import is_number
from ragline.pipeline.runs.workdir import (
    REPORT_FILE,
    RUNS,
    SAMPLES_FILE,
    SUMMARY_FILE,
)

DASH = "—"
_HEADLINES = {
    "not_blessed": "Not blessed: nothing pushed",
    "bad_data": "Stopped: bad data",
    "failed": "Failed",
}
_WRITTEN = {PCA: "PCA", NEWEST: "Newest blessed"}
# Key of the summary that was renamed -> its name now.
RENAMED = {"newest": "baseline_model"}
_NOTHING: Mapping[str, float | None] = {"value": None}
_DIGITS = 4
_MILLISECONDS = 3


class NoRunError(UsageError):
    """Says that there is no run to report on."""


def render(
    summary: Mapping[str, Any],
    samples: Mapping[str, Any] | None = None,
    *,
    library: str | None = None,
    source: str | None = None,
) -> str:
    """Render the whole page.

    Args:
      summary: content of summary.json; None for what a stopped run did not reach.
      samples: the training's samples of the eval split (train/export/reconstruction_samples.py);
        None if the training was not reached.
      library: script that draws; None for Plotly's own, of 5 MB.
      source: where the page finds that script, in place of having it inside.
    """
    tables = by_column(summary["metrics"], summary["baselines"])
    plots = _plots(summary, samples, tables)
    slices = tables.pop(LENGTH_BUCKET, {})
    return _ENVIRONMENT.get_template("report.html.j2").render(
        summary=summary,
        headline=headline(summary),
        baselines=BASELINES,
        buckets=slices,
        columns=tables,
        normalised=NORMALISED_MSE,
        embedding=describe_embedding(summary["embedding"]),
        comparison=summary["comparison"] and comparison.cells(summary["comparison"]),
        reconstructions=samples["reconstructions"] if samples else [],
        figures=plots,
        library=_library() if library is None and source is None else library,
        source=source,
    )


def write(
    folder: pathlib.Path, summary: Mapping[str, Any], samples: Mapping[str, Any] | None
) -> pathlib.Path:
    """Write the page of a run into its folder, and the samples that it shows.

    Args:
      folder: runs/<run id> of a work directory; any other gets a page with the script inside.
      summary: content of summary.json.
      samples: see `render`.

    Raises:
      OSError: the folder cannot be written to.
    """
    if samples is not None:
        write_text(folder / SAMPLES_FILE, json.dumps(standard(samples), allow_nan=False))
    page = folder / REPORT_FILE
    write_text(page, render(summary, samples, source=_source(folder)))
    return page


def _source(folder: pathlib.Path) -> str | None:
    """Return where a run's page finds the script that draws; write it if it is missing."""
    runs = folder.absolute().parent
    if runs.name != RUNS:
        return None
    script = _library().encode()
    file = runs.parent / f"plotly-{hashlib.sha256(script).hexdigest()[:16]}.min.js"
    if not os.path.lexists(file):
        write_bytes(file, script)
    return f"../../{file.name}" if file.read_bytes() == script else None


def write_again(folder: pathlib.Path, output: pathlib.Path | None = None) -> pathlib.Path:
    """Write the page of a run again, from its summary.json and reconstruction_samples.json.

    Args:
      folder: runs/<run id>, or a work directory, whose newest run is taken.
      output: a file for a page with everything inside; None for the run's own.

    Raises:
      NoRunError: there is no run.
      OSError: the folder cannot be written to.
    """
    candidates = [
        folder / SUMMARY_FILE,
        *sorted((folder / RUNS).glob(f"*/{SUMMARY_FILE}"), reverse=True),
    ]
    summary_file = next((file for file in candidates if file.is_file()), None)
    if summary_file is None:
        raise NoRunError(
            f"{folder}: expected the folder of a run, with {SUMMARY_FILE} in it, or a work "
            f"directory with {RUNS}/ in it"
        )
    samples_file = summary_file.with_name(SAMPLES_FILE)
    try:
        summary = read_json(summary_file)
        if old := next((key for key in RENAMED if key in summary), None):
            raise ValueError(f"its key {old!r} is named {RENAMED[old]!r} now")
        samples = read_json(samples_file) if samples_file.is_file() else None
        if output is None:
            return write(summary_file.parent, summary, samples)
        write_text(output, render(summary, samples))
        return output
    except (KeyError, TypeError, ValueError) as error:  # Edited by hand, or of another version.
        raise NoRunError(
            f"{summary_file}: is no summary of this version of ragline: {error}"
        ) from error


@functools.cache
def _library() -> str:
    script: str = plotly.offline.get_plotlyjs()
    return script


def _plots(
    summary: Mapping[str, Any],
    samples: Mapping[str, Any] | None,
    tables: Mapping[str, Mapping[str, Any]],
) -> dict[str, figures.Figure]:
    """Return id -> figure, without those that have nothing to draw."""
    names = {name: words(name) for name in summary["baselines"] or ()}
    plots = {
        "plot-baselines": figures.bars(summary["baselines"], names),
        "plot-curves": figures.curves(summary["train"]),
        "plot-stages": figures.seconds(summary["stages"]),
    }
    if summary["data"]:
        plots["plot-data-lengths"] = figures.lengths(summary["data"]["lengths"])
    for column, rows in tables.items():
        key = "plot-lengths" if column == LENGTH_BUCKET else f"plot-slice-{column}"
        plots[key] = figures.intervals(rows)
    if samples:
        ids = samples["sequences"][SEQUENCE_ID]
        plots["plot-errors"] = sample_figures.error_by_length(samples["sequences"], ids)
        plots["plot-embedding"] = sample_figures.embedding(samples, ids)
        for sample in samples["reconstructions"]:
            plots[f"plot-{sample['which']}"] = sample_figures.reconstruction(sample)
    return {name: figure for name, figure in plots.items() if figure is not None}


def headline(summary: Mapping[str, Any]) -> str:
    """Return the verdict in a few words."""
    if summary["status"] == "done" and summary["pushed"]:
        return f"Pushed as version {summary['pushed']['version']}"
    return _HEADLINES.get(summary["status"], words(summary["status"]))


# Formats of values.


def present(value: Any) -> Any:
    """Return a value that has no format of its own; a dash for None and for what is not finite."""
    missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return DASH if missing else value


def number(value: float | None, most_decimals: int = 8) -> str:
    """Format to 4 significant digits, thousands separated: 0.7865, 39,550, 1.234e-12."""
    if not is_number(value):
        return DASH
    # The exponent of the rounded number: 9.99996 has one more digit when rounded.
    exponent = int(f"{value:.{_DIGITS - 1}e}".partition("e")[2])
    if value and not -5 <= exponent <= 11:
        return f"{value:.{_DIGITS - 1}e}"
    decimals = _DIGITS - 1 - exponent if value else 0
    return f"{round(value, decimals):,.{min(max(decimals, 0), most_decimals)}f}"


def interval(metric: Mapping[str, float | None]) -> str:
    """Format a metric's lower and upper bound."""
    bounds = metric["lower"], metric["upper"]
    return " to ".join(map(number, bounds)) if any(map(is_number, bounds)) else DASH


def count(value: float | None) -> str:
    """Format a whole number in full, thousands separated; sums arrive as floats."""
    return f"{value:,.0f}" if is_number(value) else DASH


def percent(share: float | None) -> str:
    """Format a share of 1 as a percentage."""
    return f"{number(100 * share)} %" if is_number(share) else DASH


def seconds(value: float | None) -> str:
    """Format seconds, to the millisecond that ML Metadata measures."""
    return number(value, most_decimals=_MILLISECONDS)


def size(number_of_bytes: float | None) -> str:
    """Format bytes as megabytes: 1,234 MB."""
    return f"{number_of_bytes / 1e6:,.0f} MB" if is_number(number_of_bytes) else DASH


def words(name: str) -> str:
    """Return a key as text: `training_mean` -> Training mean."""
    return _WRITTEN.get(name, name.replace("_", " ").capitalize())


def by_column(
    metrics: Mapping[str, Any] | None, baselines: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Return column -> value, such as `8-15` steps -> the slice's metrics; `All` is last.

    Each slice also has `baselines`, baseline -> its masked MSE there.
    """
    tables: dict[str, dict[str, Any]] = {}
    if not metrics or not baselines:
        return tables

    def row(name: str) -> dict[str, Any]:
        baseline_errors = {
            baseline: baselines[baseline]["slices"].get(name, {}).get(MASKED_MSE, _NOTHING)["value"]
            for baseline in BASELINES
        }
        return {**metrics[name], "baselines": baseline_errors}

    for name in metrics:
        column, value = parts_of(name)
        if name != OVERALL:
            tables.setdefault(column, {})[value] = row(name)
    return {column: rows | {"All": row("overall")} for column, rows in tables.items()}


def describe_embedding(embedding: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the metrics of the embedding; None if it was not measured, as one that is not finite.

    Those of the model and of the untrained model also have `least` and `most` of the variances.
    """
    if not embedding or not embedding["finite"]:
        return None
    description = dict(embedding)
    for name in (MODEL, UNTRAINED):
        variances = [value for value in embedding[name]["variance"] if is_number(value)]
        bounds = {"least": min(variances, default=None), "most": max(variances, default=None)}
        description[name] = {**embedding[name], **bounds}
    return description


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("ragline.pipeline.report", ""),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=present,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters.update(
    number=number,
    interval=interval,
    count=count,
    percent=percent,
    seconds=seconds,
    size=size,
    words=words,
)
