"""Plug-ins of docs/extending.md on workers in processes of their own, where they are installed."""

import pathlib
from collections.abc import Iterator

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from engines import pools
from evaluate import test_plug_in_metric
from evaluate.samples import make
from ingest.test_plug_in import BLOCKS, WORKERS, entry_points_of, install
from ingest.whole_runs import run

from ragline.components.contract.columns import Columns, Feature
from ragline.components.evaluate.metrics import METRICS
from ragline.components.ingest import formats
from ragline.pipeline.runs import machine_errors

COLUMNS = Columns(
    features=tuple(Feature(name=name, unit=None, allow_missing=False) for name in ("ax", "ay")),
    context={},
)


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A folder with the page's format, for this process alone."""
    folder = _folder(tmp_path, "site")
    install(
        folder, "walks", {"walks.py": BLOCKS["walks"]}, entry_points_of(BLOCKS["pyproject.toml"])
    )
    monkeypatch.syspath_prepend(folder)
    formats.FORMATS.__dict__.pop("_entry_points", None)
    yield folder
    formats.FORMATS.__dict__.pop("_entry_points", None)


def ingest(
    folder: pathlib.Path, engine: tuple[str, ...]
) -> dict[str, tuple[list[float], list[float]]]:
    """The page's walks, read by an engine."""
    (folder / "monday.walk").write_text(BLOCKS["monday.walk"], encoding="utf-8")
    place = run(
        folder / "run",
        schema=COLUMNS,
        beam_arguments=(*engine, "--beam_plugin=ragline.components", "--sdk_container_image=none"),
        train=str(folder / "*.walk"),
    )
    return {
        name: (record["ax"], record["ay"])
        for split in place.read_examples().values()
        for name, record in split.items()
    }


EXPECTED = {"walk-1": ([0.5, 1.0, 1.5], [1.0, 2.0, 3.0]), "walk-2": ([0.25, 0.5], [0.0, -1.0])}
LACKING = (
    "on a Beam worker: format 'walks': expected a package that names it in its entry points of "
    "ragline.formats, received none; install the package where ragline runs, and where its Beam "
    "workers do"
)
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=embed")


def test_a_format_reaches_an_engine_in_this_process(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert ingest(tmp_path, (*PORTABLE, "--environment_type=LOOPBACK")) == EXPECTED


@pytest.mark.full
def test_a_format_reaches_a_pool_of_workers_that_have_its_package(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pools.started(_folder(tmp_path, "pool"), {"PYTHONPATH": str(site)}) as where:
        assert ingest(tmp_path, _external(where)) == EXPECTED


def test_workers_without_the_package_end_the_run_with_a_sentence(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with (
        pools.started(_folder(tmp_path, "pool")) as where,
        pytest.raises(RuntimeError) as caught,
    ):
        ingest(tmp_path, _external(where))
    assert machine_errors.sentence(caught.value) == LACKING


@pytest.mark.full
def test_a_metric_is_computed_on_worker_processes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = _folder(tmp_path, "site")
    install(site, "even", {"even.py": BLOCKS["even"]}, entry_points_of(test_plug_in_metric.PROJECT))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    METRICS.__dict__.pop("_entry_points", None)
    made = make(3, 60, missing=0.3)
    try:
        options = PipelineOptions([*WORKERS])
        table = test_plug_in_metric.evaluate(made, tmp_path / "evaluation", options)
    finally:
        METRICS.__dict__.pop("_entry_points", None)
    for predictor in ("model", "last_value"):
        numbers = table[predictor]["overall"]["sequence_mse"]
        expected = test_plug_in_metric.sequence_mse(made, predictor)
        assert numbers["value"] == pytest.approx(expected, rel=1e-12)


def _external(where: str) -> tuple[str, ...]:
    return (*PORTABLE, "--environment_type=EXTERNAL", f"--environment_config={where}")


def _folder(above: pathlib.Path, name: str) -> pathlib.Path:
    folder = above / name
    folder.mkdir()
    return folder
