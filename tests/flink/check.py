"""The Beam parts on a session cluster of Flink, two task managers of it: `make test-flink`.

It fetches Flink and Beam's job server (`fetch.py`), starts the cluster (`cluster.py`), compares
what each part writes with what the in-process engine writes, and stops all. Where Java, Maven or a
package cannot be had, it says so and exits with 69 (EX_UNAVAILABLE).
"""

import functools
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from engines import checks  # noqa: E402
from flink import fetch  # noqa: E402
from flink.cluster import Cluster  # noqa: E402


def main(chosen: Sequence[str]) -> int:
    try:
        flink = fetch.fetch()
    except fetch.UnavailableError as error:
        print(f"test-flink: not run: {error}", file=sys.stderr)
        return checks.UNAVAILABLE
    # The job server that Beam starts for each job.
    os.environ["JAVA_TOOL_OPTIONS"] = "-Xmx512m"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Cluster(flink, pathlib.Path(folder) / "flink") as cluster,
    ):
        said = cluster.get("/config")["flink-version"]
        beam = importlib.metadata.version("apache-beam")
        print(f"Flink {said}, {cluster.slots()} slots; Beam {beam} for Python", flush=True)
        of_cluster = (pathlib.Path(folder), cluster, flink)
        checks.run(
            {name: functools.partial(check, *of_cluster) for name, check in CHECKS.items()}, chosen
        )
    return 0


def options(cluster: Cluster, flink: fetch.Flink, **environment: str) -> tuple[str, ...]:
    """Return `beam.options` for the cluster, with variables of its workers."""
    return (
        f"--flink_master={cluster.url}",
        f"--flink_job_server_jar={flink.job_server}",
        "--parallelism=2",
        *checks.by_process(**environment),
        "--environment_cache_millis=5000",
    )


def _parts(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    yield from checks.compare_parts(folder, "parts", "FlinkRunner", options(cluster, flink))


def _plug_ins(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """A format and a metric of other packages, where workers have them and where they do not."""
    from flink import plug_ins

    site = plug_ins.installed(folder / "site")
    having = options(cluster, flink, PYTHONPATH=str(site))
    yield from plug_ins.check(folder / "plug-ins", having, options(cluster, flink))


def _store(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """Ingest and encode in an S3 server; workers hear of it by their variables."""
    from flink import objects

    yield from objects.check(folder / "store", functools.partial(options, cluster, flink))


def _records(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """A run whose input and records are in an S3 server, beside one in this process."""
    from flink import objects

    having = functools.partial(options, cluster, flink)
    yield from objects.check_run(folder, "records", objects.RUNNER, having)


def _whole(folder: pathlib.Path, cluster: Cluster, flink: fetch.Flink) -> Iterator[str]:
    """A run of long tables from raw files to a pushed encoder, and its encoding of them.

    In ingest, transform and `ragline encode` the Python workers of the job are killed and then a
    task manager, in the evaluation the workers; the job manager in ingest, transform and `encode`,
    which end and are run again.
    """
    from flink import faults, runs

    data, here, expected = runs.in_process(folder)
    yield "whole: a run in this process"
    there = folder / "there"

    kill = faults.Faults(cluster, folder)
    both = (kill.workers, kill.task_manager)
    settings = ("beam.runner=FlinkRunner", f"beam.options={json.dumps(options(cluster, flink))}")
    words = runs.of_tables(data, there, *settings)
    stages = {"ingest": lambda: kill.strike(kill.job_manager, made="rows-*.json")}
    ended = runs.ended(runs.ragline(*words, on_stage=stages))
    yield f"whole: the job manager killed in ingest: {ended}"
    cluster.start_job_manager()
    cluster.wait_for_task_managers()
    stages = {
        "ingest": lambda: kill.strike(*both, made="rows-*.json"),
        "transform": lambda: kill.strike(kill.job_manager),
    }
    ended = runs.ended(runs.ragline(*words, on_stage=stages))
    yield f"whole: workers and a task manager killed in ingest; the job manager after it: {ended}"
    cluster.start_job_manager()
    cluster.wait_for_task_managers()
    stages = {
        "transform": lambda: kill.strike(*both),
        "evaluate": lambda: kill.strike(kill.workers),
    }
    received = runs.ragline(*words, on_stage=stages)
    pushed = received.exit_code == 0 and received.summary["pushed"]
    runs.expect(pushed, "a pushed encoder", received.said)
    yield "whole: workers and a task manager killed in transform, workers in evaluate: goes on"
    for line in runs.compare(expected, here, received, there):
        yield f"whole: {line}"

    [encoder] = (there / "serving").iterdir()
    words = [str(encoder), "--input", f"{data}/*", "--set", "quarantine.max_share=0.1"]
    beam = [word for setting in settings for word in ("--set", setting)]
    expected = runs.ragline(*words, "--output", str(folder / "encoded"), name="encode")
    runs.expect(expected.exit_code == 0, "an encoding in this process", expected.said)
    disturbed = [*words, "--output", str(folder / "disturbed"), *beam]
    stages = {"encode": lambda: kill.strike(*both, made="rows-*.json")}
    received = runs.ragline(*disturbed, on_stage=stages, name="encode")
    runs.expect(received.exit_code == 0, "an encoding on Flink", received.said)
    same = runs.compare_encodings(expected, folder / "encoded", received, folder / "disturbed")
    yield f"encode: workers and a task manager killed: goes on; {same}"
    cut_off = [*words, "--output", str(folder / "cut-off"), *beam]
    stages = {"encode": lambda: kill.strike(kill.job_manager, made="rows-*.json")}
    ended = runs.ended(runs.ragline(*cut_off, on_stage=stages, name="encode"))
    runs.expect(not (folder / "cut-off").exists(), "no output", ended)
    cluster.start_job_manager()
    cluster.wait_for_task_managers()
    received = runs.ragline(*cut_off, name="encode")
    runs.expect(received.exit_code == 0, "an encoding on Flink", received.said)
    same = runs.compare_encodings(expected, folder / "encoded", received, folder / "cut-off")
    yield f"encode: the job manager killed: {ended}; the same command again: {same}"
    kill.end_orphans()
    yield f"whole: no worker is left of a killed task manager, of {len(kill.orphans)}"


CHECKS = {
    "parts": _parts,
    "plug-ins": _plug_ins,
    "store": _store,
    "records": _records,
    "whole": _whole,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
