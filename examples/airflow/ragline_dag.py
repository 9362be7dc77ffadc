"""A DAG for Airflow 2.11 and 3: `ragline run` on each day's span of data, one day after the other.

Airflow lives in an environment of its own and only calls the command. Environment variables say
where things are:

    RAGLINE          the command, /path/to/ragline/.venv/bin/ragline
    RAGLINE_CONFIG   the configuration, whose input.train has {SPAN} or a date in it
    RAGLINE_START    the first day, such as 2026-11-01; today by default

The task `run` leaves the run's summary as its XCom, and below `stages` stands a task for each
stage, red, green or skipped as the stage was.
"""

import json
import os
import pathlib
import shlex
import subprocess
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import DAG, TaskGroup, task
except ImportError:  # Airflow 2.
    from airflow import DAG
    from airflow.decorators import task
    from airflow.utils.task_group import TaskGroup

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException

RAGLINE = os.environ.get("RAGLINE", "ragline")
CONFIG = os.environ.get("RAGLINE_CONFIG", "ragline.toml")
START = os.environ.get("RAGLINE_START", f"{datetime.now(tz=UTC):%Y-%m-%d}")

# In the order in which data meets them.
STAGES = (
    "schema", "ingest", "statistics", "anomalies", "gate", "transform", "tune", "train",
    "baselines", "evaluate", "verdict", "push",
)  # fmt: skip

DONE, DEFECT, BUSY = 0, 1, 75
# Neither would end otherwise the next time: the configuration, the data, the model.
FINAL = {2: "bad configuration", 3: "bad data", 4: "not blessed, nothing was pushed"}


@task(retries=12, retry_delay=timedelta(minutes=5), retry_exponential_backoff=False)
def run(day, ti=None):
    """Runs the pipeline on a day's span.

    A defect, a full disk or a lost worker may pass, and a busy work directory will: both are tried
    again. Bad configuration, bad data and a model that was not blessed are not.
    """
    command = [*shlex.split(RAGLINE), "run", CONFIG, "--date", day, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stderr)
    summary = json.loads(done.stdout) if done.stdout.strip() else None
    ti.xcom_push(key="return_value", value=summary)
    if done.returncode == DONE:
        return summary
    last = done.stderr.strip().rpartition("\n")[2]
    said = "; ".join(summary["verdict"]["reasons"]) if summary else last
    if done.returncode in FINAL:
        raise AirflowFailException(f"{FINAL[done.returncode]}: {said}")
    raise AirflowException(f"exit code {done.returncode}: {said}")


@task(trigger_rule="all_done", retries=0)
def stage(name, ti=None):
    """Shows how a stage ended."""
    summary = ti.xcom_pull(task_ids="run") or {}
    found = (summary.get("stages") or {}).get(name)
    if found is None:
        raise AirflowSkipException(f"{name} was not reached")
    print(f"{name}: {found['state']}, {found['seconds']:.1f} s")
    if found["state"] == "failed":
        raise AirflowFailException("; ".join(summary["verdict"]["reasons"]))


@task(trigger_rule="none_failed", retries=0)
def ended():
    """Is not reached if `run` failed: Airflow takes a day's state from its last tasks alone."""


with DAG(
    dag_id=f"ragline_{pathlib.Path(CONFIG).stem}",
    description=f"ragline run {CONFIG}, each day's span",
    schedule="@daily",
    start_date=datetime.fromisoformat(START).replace(tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    tags=["ragline"],
) as dag:
    ran = run("{{ ds }}")
    with TaskGroup("stages"):
        shown = None
        for each in STAGES:
            after = stage.override(task_id=each)(each)
            ran >> after if shown is None else shown >> after
            shown = after
    [ran, shown] >> ended()
