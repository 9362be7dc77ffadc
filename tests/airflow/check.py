"""The DAG of examples/airflow under real Airflow: `make test-airflow`, some 15 minutes a version.

Each version gets an environment of its own below `.airflow/`, with SQLite. Then, on four days of
data: `airflow dags test` over three dates in a row; the figures of each day beside those of a plain
loop over the files; a day without data, which must not be tried again; and the scheduler
itself, `airflow standalone`, which must pick up the last day's interval.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ragline.components.ingest.records.splits import split_of  # noqa: E402
from ragline.pipeline.demo import synth  # noqa: E402

VERSIONS = ("3.3.2", "2.11.2")
DAG_ID = "ragline_nightly"
SEQUENCES = 200
CONFIG = """
name = "nightly"
schema = "gestures"
workdir = "work"

[input]
train = "data/{YYYY}-{MM}-{DD}/*.jsonl"

[train]
epochs = 1
units = 16
embedding_size = 8
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", nargs="+", default=VERSIONS)
    for version in parser.parse_args().versions:
        python = _environment(version)
        with tempfile.TemporaryDirectory() as folder:
            check(version, python, pathlib.Path(folder))
        print(f"Airflow {version}: as expected", flush=True)


def _environment(version: str) -> pathlib.Path:
    folder = ROOT / ".airflow" / version
    if not (folder / "bin" / "airflow").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(
            [
                *(str(pathlib.Path(sys.executable).parent / "uv"), "pip", "install", "--quiet"),
                *("--python", str(folder / "bin" / "python"), f"apache-airflow=={version}"),
            ],
            check=True,
        )
    return folder / "bin"


def check(version: str, binaries: pathlib.Path, folder: pathlib.Path) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    days = [today - datetime.timedelta(days=back) for back in (4, 3, 2, 1)]
    (folder / "nightly.toml").write_text(CONFIG)
    for seed, day in enumerate(days):
        _write_day(folder, day, seed)
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # `dags unpause` ends with 0 also where it finds no DAG yet.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "examples" / "airflow"),
        "RAGLINE": str(pathlib.Path(sys.executable).parent / "ragline"),
        "RAGLINE_CONFIG": str(folder / "nightly.toml"),
        "RAGLINE_START": days[0].isoformat(),
    }

    def airflow(*arguments: str, exit_code: int = 0) -> str:
        done = subprocess.run(
            ["airflow", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        said = done.stdout + done.stderr
        assert done.returncode == exit_code, f"{arguments}: {said[-8000:]}"
        return said

    airflow("db", "migrate")
    for day in days[:3]:
        said = airflow("dags", "test", DAG_ID, day.isoformat())
        assert "state=success" in said, said[-8000:]
        print(f"Airflow {version}: dags test {day}", flush=True)
    _compare(folder, days[:3])
    said = airflow("dags", "test", DAG_ID, today.isoformat(), exit_code=1)
    assert "bad data: " in said and "no_span" in said, said[-8000:]
    assert "up_for_retry" not in said

    # The scheduler begins at the DAG's first day, and is to find the last alone.
    environment["RAGLINE_START"] = days[3].isoformat()
    with _standalone(environment) as log:
        _wait_for(folder, days[3], log)
    _compare(folder, days)


def _write_day(folder: pathlib.Path, day: datetime.date, seed: int) -> None:
    place = folder / "data" / day.isoformat()
    place.mkdir(parents=True)
    with (place / "a.jsonl").open("w") as file:
        for record in synth.gestures(sequences=SEQUENCES, seed=seed):
            file.write(json.dumps(record) + "\n")


def _compare(folder: pathlib.Path, days: list[datetime.date]) -> None:
    """The journal's runs, day by day, beside a plain loop over the files."""
    journal = [entry for entry in _journal(folder) if entry["exit_code"] == 0]
    assert [entry["spans"] for entry in journal] == [[day.isoformat()] for day in days]
    for entry, day in zip(journal, days, strict=True):
        summary = json.loads(
            (folder / "work" / "runs" / entry["run_id"] / "summary.json").read_text()
        )
        expected = {split: {"sequences": 0, "steps": 0} for split in ("train", "eval")}
        for line in (folder / "data" / day.isoformat() / "a.jsonl").read_text().splitlines():
            record = json.loads(line)
            of_split = expected[split_of(record["entity_id"], 0.2)]
            of_split["sequences"] += 1
            of_split["steps"] += len(record["features"]["ax"])
        assert summary["input"]["by_split"] == expected, (day, summary["input"], expected)


def _journal(folder: pathlib.Path) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = json.loads((folder / "work" / "spans.json").read_text())[
        "content"
    ]
    return spans


@contextlib.contextmanager
def _standalone(environment: dict[str, str]) -> Iterator[pathlib.Path]:
    log = pathlib.Path(environment["AIRFLOW_HOME"]) / "standalone.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["airflow", "standalone"],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(folder: pathlib.Path, day: datetime.date, log: pathlib.Path) -> None:
    """Until the scheduler's own run stands in the journal."""
    for _ in range(180):
        if _journal(folder)[-1]["spans"] == [day.isoformat()]:
            return
        time.sleep(5)
    said = log.read_text(errors="replace")[-8000:]
    raise AssertionError(f"the scheduler did not run {day}; it said:\n{said}")


if __name__ == "__main__":
    main()
