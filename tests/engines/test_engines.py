"""Every Beam part gives the same records on every engine that can be started here.

Those of Flink and Spark are started by tests/flink/check.py and tests/spark/check.py.
"""

import pathlib
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from apache_beam.runners.portability import prism_runner
from commands import run_pipeline
from conftest import write_jsonl
from engines import beam_parts, pools
from engines.beam_parts import PARTS, Engine
from profiles import FULL

from ragline.pipeline.config import BeamOptions

DIRECT = Engine(runner="DirectRunner")
TWO_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
EMBEDDED = "--job_endpoint=embed"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pool of workers in processes of their own, in a folder that is not ours."""
    with pools.started(tmp_path_factory.mktemp("pool")) as where:
        yield where


def _engine(name: str, request: pytest.FixtureRequest) -> Engine:
    if name == "processes":
        return Engine(runner="DirectRunner", options=TWO_PROCESSES)
    if name == "loopback":
        return Engine(runner="PortableRunner", options=(EMBEDDED, "--environment_type=LOOPBACK"))
    where = f"--environment_config={request.getfixturevalue('pool')}"
    return Engine(runner="PortableRunner", options=(EMBEDDED, "--environment_type=EXTERNAL", where))


@pytest.fixture(scope="module")
def data(gestures: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(folder / "a.jsonl", gestures[:40])
    write_jsonl(folder / "b.jsonl", gestures[40:80])
    return folder / "*.jsonl"


@pytest.fixture(scope="module")
def expected(
    data: pathlib.Path, encoder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prism_runner.PrismRunner, "run_pipeline", _is_called)
        parts = PARTS if FULL else ("encode",)
        return beam_parts.run(tmp_path_factory.mktemp("direct"), data, encoder, DIRECT, parts)


def _is_called(*_: object) -> None:
    pytest.fail("DirectRunner looked for an engine to download")


@pytest.mark.full
def test_the_direct_runner_does_all(expected: dict[str, Any]) -> None:
    shards = [shard for split in expected["ingest"].values() for shard in split]
    assert sum(map(len, shards)) == len(expected["encode"]) == 80
    assert sum(map(len, expected["transform"].values())) == 80


def test_fn_api_runner_is_another_name_of_it() -> None:
    assert BeamOptions(runner="FnApiRunner").arguments == BeamOptions().arguments


# Workers in processes of their own take longer to start than all parts to run: `make test` starts
# them here for ingest and a part that loads a model, and for ingest by a package's own format in
# ingest/test_plug_in.py. Each whole run holds all parts on DirectRunner.
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("external", ("encode",)),
        pytest.param("loopback", PARTS, marks=pytest.mark.full),
        pytest.param("processes", PARTS, marks=pytest.mark.full),
        pytest.param("external", PARTS, marks=pytest.mark.full),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_part_gives_the_same_records(
    name: str,
    parts: Collection[str],
    request: pytest.FixtureRequest,
    expected: dict[str, Any],
    data: pathlib.Path,
    encoder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    results = beam_parts.run(tmp_path, data, encoder, _engine(name, request), parts)
    assert results.keys() == {"ingest", *parts}
    for part, records in results.items():
        # Sums of float64, added up in another order.
        same = (
            pytest.approx(expected[part], rel=1e-12, nan_ok=True)
            if part == "evaluate"
            else expected[part]
        )
        assert records == same, part


@pytest.fixture(scope="module")
def whole_run(data: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _whole_run(data, tmp_path_factory.mktemp("whole") / "work", DIRECT)


def _whole_run(data: pathlib.Path, workdir: pathlib.Path, engine: Engine) -> dict[str, Any]:
    """What a run says of its data, and what the trainer got.

    The trainer reads records in the order in which they stand, which is an engine's own: of its
    model, the slices and how many values each has are the same, and the weights are not.
    """
    settings = (f"input.train={data}", "train.epochs=1", *engine.overrides)
    asked = [word for setting in settings for word in ("--set", setting)]
    run = run_pipeline(workdir, "examples/gestures.toml", *asked, "--force-bless", "a test")
    assert run.exit_code == 0, run.stderr
    assert run.summary["pushed"]
    [examples] = (workdir / "artifacts" / "transform" / "transformed_examples").iterdir()
    metrics = run.summary["metrics"]
    return {
        **{key: run.summary[key] for key in ("input", "splits", "constant_features")},
        "records": beam_parts.by_id(str(examples)),
        "values": {name: of_slice["values"]["value"] for name, of_slice in metrics.items()},
    }


@pytest.mark.full
@pytest.mark.parametrize("name", ["processes", "loopback", "external"])
def test_a_whole_run_counts_and_trains_on_the_same_records(
    name: str,
    request: pytest.FixtureRequest,
    data: pathlib.Path,
    whole_run: dict[str, Any],
    tmp_path: pathlib.Path,
) -> None:
    assert _whole_run(data, tmp_path / "work", _engine(name, request)) == whole_run
