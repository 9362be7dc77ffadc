"""The Beam parts on a session cluster of Flink, two task managers of it: `make test-flink`.

It fetches Flink and Beam's job server (`fetch.py`), starts the cluster (`cluster.py`), compares
what each part writes with what the in-process engine writes, and stops all. Where Java, Maven or a
package cannot be had, it says so and exits with 69 (EX_UNAVAILABLE).
"""

import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from flink import fetch  # noqa: E402
from flink.cluster import Cluster  # noqa: E402

UNAVAILABLE = 69
WORKER = pathlib.Path(sys.executable).with_name("ragline-worker")


def main() -> int:
    try:
        flink = fetch.fetch()
    except fetch.Unavailable as error:
        print(f"test-flink: not run: {error}", file=sys.stderr)
        return UNAVAILABLE
    # The job server that Beam starts for each job.
    os.environ["JAVA_TOOL_OPTIONS"] = "-Xmx512m"
    with tempfile.TemporaryDirectory() as folder:
        with Cluster(flink, pathlib.Path(folder) / "flink") as cluster:
            versions = cluster.get("/config")["flink-version"]
            beam = importlib.metadata.version("apache-beam")
            print(f"Flink {versions}, {cluster.slots()} slots; Beam {beam} for Python", flush=True)
            for said in _compare(pathlib.Path(folder), options(cluster, flink)):
                print(said, flush=True)
    return 0


def options(cluster: Cluster, flink: fetch.Flink) -> tuple[str, ...]:
    """Return `beam.options` for the cluster."""
    return (
        f"--flink_master={cluster.url}",
        f"--flink_job_server_jar={flink.job_server}",
        "--parallelism=2",
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps({'command': str(WORKER)})}",
        "--environment_cache_millis=60000",
    )


def _compare(folder: pathlib.Path, flink: tuple[str, ...]) -> Iterator[str]:
    import pushed
    import pytest
    from conftest import write_jsonl
    from engines import beam_parts

    from ragline.pipeline.demo import synth

    encoder = pushed.gestures(folder / "encoder")
    write_jsonl(folder / "data" / "a.jsonl", list(synth.gestures(sequences=80, seed=3)))
    data = folder / "data" / "*.jsonl"
    expected = beam_parts.run(
        folder / "direct", data, encoder, beam_parts.Engine(runner="DirectRunner")
    )
    for part, records in expected.items():
        start = time.monotonic()
        # Sums of float64 may be added up in another order.
        engine = beam_parts.Engine(runner="FlinkRunner", options=flink)
        found = beam_parts.run(folder / part, data, encoder, engine, parts=(part,))
        same = pytest.approx(records, rel=1e-12, nan_ok=True) if part == "evaluate" else records
        if found[part] != same:
            raise SystemExit(f"{part}: other records on Flink than in this process")
        yield f"{part}: the same records, {time.monotonic() - start:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
