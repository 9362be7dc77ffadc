"""Plug-ins of docs/extending.md on Flink, where workers have their packages and where not."""

import pathlib
import sys
from collections.abc import Iterator, Sequence

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from engines import test_plug_ins_on_engines as on_engines
from evaluate import test_plug_in_metric as metric
from evaluate.samples import make
from ingest.test_plug_in import BLOCKS, entry_points_of, install

from ragline.components.evaluate.metrics import METRICS
from ragline.components.ingest.formats import FORMATS
from ragline.components.runtime.beam_options import BeamOptions
from ragline.pipeline.runs import machine_errors


def installed(folder: pathlib.Path) -> pathlib.Path:
    """Install the packages into a folder, for this process alone; return the folder."""
    projects = {"walks": BLOCKS["pyproject.toml"], "even": metric.PROJECT}
    for name, project in projects.items():
        install(folder, name, {f"{name}.py": BLOCKS[name]}, entry_points_of(project))
    sys.path.insert(0, str(folder))
    for registry in (FORMATS, METRICS):
        registry.__dict__.pop("_entry_points", None)
    return folder


def check(folder: pathlib.Path, having: Sequence[str], lacking: Sequence[str]) -> Iterator[str]:
    """Run them on workers, and say what came out.

    Args:
      folder: for what is written.
      having: `beam.options` of workers that have the packages.
      lacking: those of workers that do not.

    Raises:
      AssertionError: something else came out.
    """
    for name in ("having", "lacking"):
        (folder / name).mkdir(parents=True)
    assert on_engines.ingest(folder / "having", _arguments(having)) == on_engines.EXPECTED
    yield "plug-ins: a format of another package: its records"
    made = make(3, 60, missing=0.3)
    table = metric.evaluate(made, folder / "evaluation", PipelineOptions([*_arguments(having)]))
    for predictor in ("model", "last_value"):
        value = table[predictor]["overall"]["sequence_mse"]["value"]
        assert value == pytest.approx(metric.sequence_mse(made, predictor), rel=1e-12)
    yield "plug-ins: a metric of another package: its value"
    with pytest.raises(RuntimeError) as caught:
        on_engines.ingest(folder / "lacking", _arguments(lacking))
    sentence = machine_errors.sentence(caught.value)
    assert sentence == on_engines.LACKING, sentence or caught.value
    yield f"plug-ins: workers without the package: {sentence}"


def _arguments(options: Sequence[str]) -> tuple[str, ...]:
    return tuple(BeamOptions(runner="FlinkRunner", options=tuple(options)).arguments)
