"""Write report.html from summary.json and reconstruction_samples.json; the page needs no network.

    WORKDIR/plotly-<digest>.min.js   the library that draws, 5 MB, once for all reports
    WORKDIR/runs/<id>/report.html    a page that loads it

`ragline report DIR --output FILE` writes a page with the library inside, to be sent.

`render` is pure. The page shows the summary's numbers unchanged, and formats them:
`page_answers.py` has its head, `page_tables.py` its tables, `figures.py` and `sample_figures.py`
its plots, which `page/report.js` draws. Every text goes through the templates, which escape it. A
value that is missing or not finite (null in the summary) is shown as a dash and not drawn.
"""

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jinja2
import plotly.offline

from ragline.components.contract.columns import LENGTH_BUCKET
from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import LAST_VALUE
from ragline.components.files.storage import read_json, standard, write_bytes, write_text
from ragline.pipeline.report import (
    comparison,
    figures,
    page_answers,
    page_formats,
    page_tables,
    run_files,
    sample_figures,
)
from ragline.pipeline.runs.workdir import (
    REPORT_FILE,
    RUNS,
    SAMPLES_FILE,
    SUMMARY_FILE,
)

_HEADLINES = {
    "not_blessed": "Not blessed: nothing pushed",
    "bad_data": "Stopped: bad data",
    "failed": "Failed",
}
# Key of the summary that was renamed -> its name now.
RENAMED = {"newest": "baseline_model"}


class NoRunError(UsageError):
    """Says that there is no run to report on."""


def render(
    summary: Mapping[str, Any],
    samples: Mapping[str, Any] | None = None,
    *,
    config: str | None = None,
    library: str | None = None,
    source: str | None = None,
) -> str:
    """Render the whole page.

    Args:
      summary: content of summary.json; None for what a stopped run did not reach.
      samples: the training's samples of the eval split (train/export/reconstruction_samples.py);
        None if the training was not reached.
      config: the run's config.toml; None if the run left none.
      library: script that draws; None for Plotly's own, of 5 MB.
      source: where the page finds that script, in place of having it inside.
    """
    tables = page_tables.by_column(summary)
    rivals = page_tables.rivals(summary)
    by_feature = page_tables.features(summary)
    plots = {
        "plot-kept": figures.kept(rivals),
        "plot-features": figures.features(by_feature),
        **_plots(summary, tables),
        **(_sample_plots(samples, page_tables.scales(summary, samples)) if samples else {}),
    }
    buckets = tables.pop(LENGTH_BUCKET, {})
    return _ENVIRONMENT.get_template("report.html.j2").render(
        summary=summary,
        headline=headline(summary),
        answers=page_answers.answers(summary, samples),
        rivals={name: row for name, row in rivals.items() if name != LAST_VALUE},
        last_value=rivals.get(LAST_VALUE),
        supervised=page_tables.supervised(summary),
        probed=page_tables.PROBED,
        against_served=page_tables.against_served(summary),
        features=by_feature,
        buckets=buckets,
        columns=tables,
        drawn=page_tables.drawn_sequences(samples),
        sampled=len(samples["sequences"]["length"]) if samples else 0,
        embedding=page_tables.describe_embedding(summary["embedding"]),
        comparison=summary["comparison"] and comparison.cells(summary["comparison"]),
        figures={name: figure for name, figure in plots.items() if figure is not None},
        config=config,
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
    config = run_files.read_config(folder)
    write_text(page, render(summary, samples, config=config, source=_source(folder)))
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
        config = run_files.read_config(summary_file.parent)
        write_text(output, render(summary, samples, config=config))
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
    summary: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]
) -> dict[str, figures.Figure | None]:
    """Return id -> figure of the summary; None where there is nothing to draw."""
    plots = {
        "plot-curves": figures.curves(summary["train"]),
        "plot-stages": figures.seconds(summary["stages"]),
    }
    if summary["data"]:
        plots["plot-data-lengths"] = figures.lengths(summary["data"]["lengths"])
    for column, rows in tables.items():
        key = "plot-lengths" if column == LENGTH_BUCKET else f"plot-slice-{column}"
        plots[key] = figures.intervals(rows)
    return plots


def _sample_plots(
    samples: Mapping[str, Any], scales: sample_figures.Scales
) -> dict[str, figures.Figure | None]:
    """Return id -> figure of the samples; None where there is nothing to draw."""
    return {
        "plot-reconstructions": sample_figures.reconstructions(samples, scales),
        "plot-positions": sample_figures.error_by_position(samples["positions"]),
        "plot-errors": sample_figures.error_by_length(samples["sequences"]),
        "plot-missing": sample_figures.missing(samples["positions"]),
        "plot-embedding": sample_figures.embedding(samples),
    }


def headline(summary: Mapping[str, Any]) -> str:
    """Return the verdict in a few words."""
    if summary["status"] == "done" and summary["pushed"]:
        return f"Pushed as version {summary['pushed']['version']}"
    return _HEADLINES.get(summary["status"], page_formats.words(summary["status"]))


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("ragline.pipeline.report", "page"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=page_formats.present,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
# Buttons stand in the order of the figures.
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"sort_keys": False}
_ENVIRONMENT.filters.update(page_formats.FILTERS)
