"""The Beam parts on Spark, in one process and on a cluster with two workers: `make test-spark`.

It fetches Beam's job server, which holds Spark, compares what each part writes with what the
in-process engine writes, and stops all. Where Java, Maven or a package cannot be had, it says so
and exits with 69 (EX_UNAVAILABLE).
"""

import functools
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from engines import checks  # noqa: E402
from flink import fetch  # noqa: E402
from spark import cluster  # noqa: E402


def main(chosen: Sequence[str]) -> int:
    try:
        java, jar = fetch.java(), fetch.job_server("spark")
    except fetch.UnavailableError as error:
        print(f"test-spark: not run: {error}", file=sys.stderr)
        return checks.UNAVAILABLE
    os.environ |= cluster.ENVIRONMENT
    beam = importlib.metadata.version("apache-beam")
    print(f"Spark {_version(jar)}; Beam {beam} for Python", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        where = (pathlib.Path(folder), java, jar)
        checks.run({name: functools.partial(c, *where) for name, c in CHECKS.items()}, chosen)
    return 0


def _version(jar: pathlib.Path) -> str:
    """Return the version of Spark in a job server."""
    with zipfile.ZipFile(jar) as opened:
        stated = opened.read("META-INF/maven/org.apache.spark/spark-core_2.12/pom.properties")
    return dict(line.split("=") for line in stated.decode().split() if "=" in line)["version"]


def _local(folder: pathlib.Path, java: str, jar: pathlib.Path) -> Iterator[str]:
    """Spark in the process of the job server, with two threads."""
    yield from checks.compare_parts(folder, "local", "SparkRunner", _options("local[2]", jar))


def _records(folder: pathlib.Path, java: str, jar: pathlib.Path) -> Iterator[str]:
    """A run whose input and records are in an S3 server, beside one in this process."""
    from flink import objects

    having = functools.partial(_options, "local[2]", jar)
    yield from objects.check_run(folder, "records", "SparkRunner", having)


def _cluster(folder: pathlib.Path, java: str, jar: pathlib.Path) -> Iterator[str]:
    """A standalone cluster, of which each job must have had both workers."""
    with cluster.started(java, jar, folder / "spark") as started:
        yield f"cluster: {started.workers()} workers"
        options = _options(started.url, jar)
        yield from checks.compare_parts(folder, "cluster", "SparkRunner", options)
        jobs = started.state()["completedapps"]
        yield f"cluster: {len(jobs)} jobs, each on so many cores: {[job['cores'] for job in jobs]}"


def _whole(folder: pathlib.Path, java: str, jar: pathlib.Path) -> Iterator[str]:
    """A run of long tables and an encoding of them on a cluster, of which processes are killed.

    The master in ingest; then, with another, in ingest, in Transform and in `ragline encode` the
    Python workers and an executor.
    """
    from flink import runs

    data, here, expected = runs.in_process(folder)
    yield "whole: a run in this process"
    with cluster.started(java, jar, folder / "whole") as started:

        def strike() -> None:
            started.kill_python_workers()
            started.kill_executor()

        options = json.dumps(_options(started.url, jar))
        settings = ("beam.runner=SparkRunner", f"beam.options={options}")
        words = runs.of_tables(data, folder / "there", *settings)
        cut_off = runs.ragline(*words, on_stage={"ingest": started.kill_master})
        yield f"whole: the master killed in ingest: {runs.ended(cut_off)}"
        started.start_master()
        received = runs.ragline(*words, on_stage={"ingest": strike, "transform": strike})
        runs.expect(received.exit_code == 0, "a pushed encoder", received.said)
        yield "whole: workers and an executor killed in ingest and in transform: goes on"
        for line in runs.compare(expected, here, received, folder / "there"):
            yield f"whole: {line}"
        [encoder] = (folder / "there" / "serving").iterdir()
        words = [str(encoder), "--input", f"{data}/*", "--set", "quarantine.max_share=0.1"]
        expected = runs.ragline(*words, "--output", str(folder / "encoded"), name="encode")
        beam = [word for setting in settings for word in ("--set", setting)]
        words += ["--output", str(folder / "disturbed"), *beam]
        received = runs.ragline(*words, on_stage={"encode": strike}, name="encode")
        runs.expect(received.exit_code == 0, "an encoding on Spark", received.said)
        same = runs.compare_encodings(expected, folder / "encoded", received, folder / "disturbed")
        yield f"encode: workers and an executor killed: goes on; {same}"


def _options(master: str, jar: pathlib.Path, **environment: str) -> tuple[str, ...]:
    return (
        f"--spark_master_url={master}",
        f"--spark_job_server_jar={jar}",
        *checks.by_process(**environment),
        "--environment_cache_millis=60000",  # Else each stage starts workers anew.
    )


CHECKS = {"local": _local, "records": _records, "cluster": _cluster, "whole": _whole}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
