"""Show a run's report: a few lines in a notebook, the whole page in a file."""

import html
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from ragline.components.files.storage import read_json, write_text
from ragline.pipeline.runs.workdir import CONFIG_FILE, SAMPLES_FILE

_ROWS = {"model": "model", "training_mean": "training mean", "pca": "PCA of the same size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Shows the report of a run.

    Attributes:
      summary: content of the run's summary.json.
      samples: content of its reconstruction_samples.json; None if it did not train.
      config: its config.toml.
    """

    summary: Mapping[str, Any]
    samples: Mapping[str, Any] | None
    config: str | None

    def to_html(self) -> str:
        """Return the whole page, with all that it needs inside: 5 MB."""
        from ragline.pipeline.report import html_page

        return html_page.render(self.summary, self.samples, config=self.config)

    def save(self, path: str | pathlib.Path) -> None:
        """Write the whole page to a file."""
        write_text(pathlib.Path(path), self.to_html())

    @classmethod
    def read(cls, summary: Mapping[str, Any], folder: pathlib.Path) -> Self:
        """Read what the page shows of a run, beside its summary, from runs/<run id>."""
        samples, config = folder / SAMPLES_FILE, folder / CONFIG_FILE
        return cls(
            summary=summary,
            samples=read_json(samples) if samples.is_file() else None,
            config=config.read_text(encoding="utf-8") if config.is_file() else None,
        )

    def __repr__(self) -> str:
        verdict = "blessed" if self.summary["verdict"]["blessed"] else "not blessed"
        return f"<Report of run {self.summary['run_id']}: {verdict}>"

    def _repr_html_(self) -> str:
        """Return the verdict and its figures, for a notebook."""
        verdict = self.summary["verdict"]
        headline = "Blessed" if verdict["blessed"] else "Not blessed"
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in verdict["reasons"])
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
            for row in self._rows()
        )
        return (
            f"<div><b>{headline}</b> <small>run {html.escape(self.summary['run_id'])}</small>"
            f"<ul>{reasons}</ul><table><thead><tr><th>eval split</th><th>masked MSE</th>"
            f"<th>normalised MSE</th></tr></thead><tbody>{rows}</tbody></table>"
            "<small><code>.save('report.html')</code> writes the whole report.</small></div>"
        )

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        predictors = self.summary["baselines"] or {}
        for name, label in _ROWS.items():
            if metrics := predictors.get(name, {}).get("eval"):
                errors = [metrics.get(key) for key in ("masked_mse", "normalised_mse")]
                masked, normalised = ("-" if e is None else f"{e:.4g}" for e in errors)
                yield label, masked, normalised
