"""The Beam parts on Flink's local cluster: `make test-flink`.

It wants Java and Beam's job server for Flink, which holds a Flink of its own: the jar
`beam-runners-flink-2.2-job-server` (or of another Flink that Beam supports), of Maven's
org.apache.beam, in Beam's version; its path in FLINK_JOB_SERVER_JAR, or the file where Beam keeps
such jars. Where one of them is missing it says so and exits with 69 (EX_UNAVAILABLE).
"""

import glob
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

VARIABLE = "FLINK_JOB_SERVER_JAR"
UNAVAILABLE = 69
VERSION = importlib.metadata.version("apache-beam")
NAME = f"beam-runners-flink-*-job-server-{VERSION}.jar"
CACHE = "~/.apache_beam/cache/jars"


def main() -> int:
    jar = _jar()
    if lines := list(_missing(jar)):
        print("test-flink:", *lines, sep="\n  ", file=sys.stderr)
        return UNAVAILABLE
    with tempfile.TemporaryDirectory() as folder:
        for part in _compare(pathlib.Path(folder), jar):
            print(f"{part}: the same records on Flink", flush=True)
    return 0


def _jar() -> str:
    kept = sorted(glob.glob(os.path.join(os.path.expanduser(CACHE), NAME)))
    return os.environ.get(VARIABLE, kept[-1] if kept else "")


def _missing(jar: str) -> Iterator[str]:
    java = shutil.which("java")
    # Of some systems, `java` is there and only says that it is not.
    if java is None or subprocess.run([java, "-version"], capture_output=True).returncode:
        yield "java: expected Java 11 or 17 among the commands, found none"
    if not os.path.isfile(jar):
        received = f"{VARIABLE}={jar}, which is no file" if jar else "none"
        yield f"job server: expected {VARIABLE}=FILE, or {CACHE}/{NAME}, found {received}"


def _compare(folder: pathlib.Path, jar: str) -> Iterator[str]:
    import pushed
    import pytest
    from conftest import write_jsonl
    from engines import beam_parts

    from ragline.pipeline.demo import synth

    encoder = pushed.gestures(folder / "encoder")
    write_jsonl(folder / "data" / "a.jsonl", list(synth.gestures(sequences=80, seed=3)))
    data = folder / "data" / "*.jsonl"
    flink = beam_parts.Engine(
        runner="FlinkRunner",
        options=(
            *("--flink_master=[local]", f"--flink_job_server_jar={jar}", "--parallelism=2"),
            "--environment_type=LOOPBACK",
        ),
    )
    direct = beam_parts.Engine(runner="DirectRunner")
    expected, found = (
        beam_parts.run(folder / engine.runner, data, encoder, engine) for engine in (direct, flink)
    )
    for part, records in expected.items():
        # Sums of float64 may be added up in another order.
        same = pytest.approx(records, rel=1e-12, nan_ok=True) if part == "evaluate" else records
        if found[part] != same:
            raise SystemExit(f"{part}: other records on Flink than on {direct.runner}")
        yield part


if __name__ == "__main__":
    sys.exit(main())
