"""The Beam parts on a session cluster of Flink, two task managers of it: `make test-flink`.

It fetches Flink and Beam's job server (`fetch.py`), starts the cluster (`cluster.py`), compares
what each part writes with what the in-process engine writes, and stops all. Where Java, Maven or a
package cannot be had, it says so and exits with 69 (EX_UNAVAILABLE).
"""

import importlib.metadata
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from flink import fetch  # noqa: E402
from flink.cluster import Cluster, workers  # noqa: E402

UNAVAILABLE = 69
WORKER = pathlib.Path(sys.executable).with_name("ragline-worker")


def main(chosen: Sequence[str]) -> int:
    try:
        flink = fetch.fetch()
    except fetch.UnavailableError as error:
        print(f"test-flink: not run: {error}", file=sys.stderr)
        return UNAVAILABLE
    # The job server that Beam starts for each job.
    os.environ["JAVA_TOOL_OPTIONS"] = "-Xmx512m"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Cluster(flink, pathlib.Path(folder) / "flink") as cluster,
    ):
        said = cluster.get("/config")["flink-version"]
        beam = importlib.metadata.version("apache-beam")
        print(f"Flink {said}, {cluster.slots()} slots; Beam {beam} for Python", flush=True)
        for name, check in CHECKS.items():
            if not chosen or name in chosen:
                start = time.monotonic()
                for line in check(pathlib.Path(folder), cluster, flink):
                    print(f"{line} ({time.monotonic() - start:.0f} s)", flush=True)
                    start = time.monotonic()
    return 0


def options(cluster: Cluster, flink: fetch.Flink, **environment: str) -> tuple[str, ...]:
    """Return `beam.options` for the cluster, with variables of its workers."""
    command = {"command": str(WORKER), "env": environment}
    return (
        f"--flink_master={cluster.url}",
        f"--flink_job_server_jar={flink.job_server}",
        "--parallelism=2",
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps(command)}",
        "--environment_cache_millis=60000",
    )


def _parts(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """Each part as the pipeline wires it, with an encoder that was not trained here."""
    import pushed
    import pytest
    from conftest import write_jsonl
    from engines import beam_parts

    from ragline.pipeline.demo import synth

    encoder = pushed.gestures(folder / "encoder")
    write_jsonl(folder / "data" / "a.jsonl", list(synth.gestures(sequences=80, seed=3)))
    data = folder / "data" / "*.jsonl"
    direct = beam_parts.Engine(runner="DirectRunner")
    expected = beam_parts.run(folder / "direct", data, encoder, direct)
    yield "parts: all in this process"
    engine = beam_parts.Engine(runner="FlinkRunner", options=options(cluster, flink))
    received = beam_parts.run(folder / "parts", data, encoder, engine)
    for part, records in expected.items():
        # Sums of float64 may be added up in another order.
        same = pytest.approx(records, rel=1e-12, nan_ok=True) if part == "evaluate" else records
        if received[part] != same:
            raise SystemExit(f"{part}: other records on Flink than in this process")
        yield f"parts: {part}: the same records on Flink"


def _plug_ins(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """A format and a metric of other packages, where workers have them and where they do not."""
    from flink import plug_ins

    site = plug_ins.installed(folder / "site")
    having = options(cluster, flink, PYTHONPATH=str(site))
    yield from plug_ins.check(folder / "plug-ins", having, options(cluster, flink))


def _whole(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """A run of long tables from raw files to a pushed encoder, and its encoding of them.

    On the cluster, a task manager is killed in ingest, the job manager in transform, which ends the
    run; in the next, a task manager in transform and a Python worker in the evaluation; and a task
    manager in `ragline encode`.
    """
    from flink import runs

    data, here, there = folder / "tables", folder / "here", folder / "there"
    runs.write_tables(data, 400)
    expected = runs.ragline(*runs.of_tables(data, here))
    _expect(expected.exit_code == 0, "a run in this process", expected.said)
    yield "whole: a run in this process"

    orphans: set[int] = set()

    def kill_task_manager(made: str = "") -> None:
        runs.busy(cluster, folder, made)
        orphans.update(workers(cluster.task_managers[-1]))
        cluster.kill(cluster.task_managers[-1])
        cluster.start_task_manager()

    def kill_job_manager() -> None:
        runs.busy(cluster, folder)
        cluster.kill(cluster.job_manager)

    def kill_worker() -> None:
        os.kill(runs.busy(cluster, folder)[0], signal.SIGKILL)

    def in_ingest() -> None:
        kill_task_manager("rows-*.json")

    settings = ("beam.runner=FlinkRunner", f"beam.options={json.dumps(options(cluster, flink))}")
    words = runs.of_tables(data, there, *settings)
    cut_off = runs.ragline(*words, on_stage={"ingest": in_ingest, "transform": kill_job_manager})
    _expect(cut_off.exit_code == 1, "exit code 1 after the job manager was killed", cut_off.said)
    _expect("Traceback" not in cut_off.said, "a sentence", cut_off.said)
    [said] = [line.strip() for line in cut_off.said.splitlines() if "the engine of" in line]
    yield f"whole: a task manager killed in ingest: goes on; the job manager in transform: {said}"
    cluster.start_job_manager()
    cluster.wait_until(lambda: cluster.slots() == 4, "task managers register")
    received = runs.ragline(
        *words, on_stage={"transform": kill_task_manager, "evaluate": kill_worker}
    )
    _expect(
        received.exit_code == 0 and received.summary["pushed"], "a pushed encoder", received.said
    )
    yield "whole: a task manager killed in transform, a worker in evaluate: goes on"
    for line in runs.compare(expected, here, received, there):
        yield f"whole: {line}"
    [encoder] = (there / "serving").iterdir()
    words = [str(encoder), "--input", f"{data}/*", "--set", "quarantine.max_share=0.1"]
    beam = [word for setting in settings for word in ("--set", setting)]
    encoded, other = folder / "encoded-here", folder / "encoded-there"
    expected = runs.ragline(*words, "--output", str(encoded), name="encode")
    shutil.rmtree(there / "artifacts")  # No file of an earlier job is taken for one of this.
    shutil.rmtree(here / "artifacts")
    received = runs.ragline(
        *(*words, "--output", str(other), *beam), on_stage={"encode": in_ingest}, name="encode"
    )
    _expect(
        expected.exit_code == received.exit_code == 0, "an encoding", expected.said + received.said
    )
    same, received = runs.embeddings(encoded), runs.embeddings(other)
    _expect(same.drop("embedding").equals(received.drop("embedding")), "the same rows", "others")
    apart = np.abs(
        np.stack(same["embedding"].to_numpy()) - np.stack(received["embedding"].to_numpy())
    ).max()
    _expect(apart <= 1e-6, "embeddings within 1e-6", str(apart))
    yield f"encode: a task manager killed: goes on; {len(same)} embeddings, {apart:.0e} apart"
    cluster.wait_until(lambda: not runs.alive(orphans), "workers of a killed task manager end")
    yield f"whole: no worker is left of a killed task manager, of {len(orphans)}"


def _expect(holds: object, what: str, said: str) -> None:
    if not holds:
        raise SystemExit(f"expected {what}, received:\n{said}")


CHECKS = {"parts": _parts, "plug-ins": _plug_ins, "whole": _whole}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
