"""One run in a work directory: lock, wire, run, tell.

TFX's LocalDagRunner runs the stages in this process. What TFX, Beam and TensorFlow say goes to
`runs/<run id>/log.txt`; what a person wants to know, to the terminal.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import logging
import os
import pathlib
import secrets
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import tomli_w

import schemas
from components.sequence import Columns
from components.storage import digest_of, sha256, write_json, write_text
from pipeline.config import Config, to_dict

SUMMARY_FILE, REPORT_FILE, LOG_FILE = "summary.json", "report.html", "log.txt"


class BusyError(Exception):
    """Another run holds the work directory; `ragline` exits with code 75."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
      summary: what summary.json holds, the exit code among it.
      folder: runs/<run id>, with summary.json, report.html, config.toml and log.txt.
    """

    summary: dict[str, Any]
    folder: pathlib.Path


def run(config: Config) -> Outcome:
    """Runs the pipeline once, from raw files to a pushed encoder or a sentence why not.

    Raises:
      BusyError: another run holds the work directory; nothing was touched.
    """
    workdir = pathlib.Path(config.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    with _lock(workdir):
        run_id = _new_run_id()
        folder = workdir / "runs" / run_id
        folder.mkdir(parents=True)
        write_text(folder / "config.toml", tomli_w.dumps(to_dict(config)))
        with _quiet(folder / LOG_FILE) as terminal:
            return _run(config, workdir, run_id, folder, terminal)


def _run(
    config: Config, workdir: pathlib.Path, run_id: str, folder: pathlib.Path, terminal: TextIO
) -> Outcome:
    terminal.write(f"run {run_id} in {workdir}\n")
    # Late, because they take 10 to 25 seconds, and inside the log, because they chatter.
    from pipeline import lineage, report, summary, tfx_run

    def stages() -> dict[str, lineage.Stage]:
        return lineage.stages(workdir / "metadata.sqlite", config.name, run_id)

    def say_start(place: int, total: int, stage: str) -> None:
        terminal.write(f"[{place:2}/{total}] {stage}\n")

    def say_end(stage: str) -> None:
        ended = stages()[stage]
        terminal.write(f"        {ended.state}, {ended.seconds:.1f} s\n")

    failure: Exception | None = None
    try:
        tfx_run.run(_pipeline(config, workdir), run_id, on_start=say_start, on_end=say_end)
    except Exception as error:
        logging.getLogger("ragline").exception("the run failed")
        failure = error
    found = summary.collect(stages(), run_id, failure)
    write_json(folder / SUMMARY_FILE, found)
    write_text(folder / REPORT_FILE, report.render(found))
    return Outcome(summary=found, folder=folder)


def _pipeline(config: Config, workdir: pathlib.Path) -> Any:
    from components.ingest import formats
    from pipeline import dag

    patterns = [p for p in (config.input.train, config.input.eval) if p is not None]
    files = [path for pattern in patterns for path in formats.match(pattern)]
    schema = schemas.load(config.schema)
    return dag.create_pipeline(
        name=config.name,
        places=dag.Places(
            artifacts=workdir / "artifacts",
            metadata=workdir / "metadata.sqlite",
            checkpoints=workdir / "checkpoints",
            quarantine=workdir / "quarantine",
            serving=workdir / "serving",
        ),
        columns=Columns.from_schema(schema),
        schema_file=_keep_by_content(schemas.locate(config.schema), workdir / "schemas"),
        input_options=json.dumps(dataclasses.asdict(config.input)),
        input_fingerprint=digest_of(part for file in files for part in (file, sha256(file))),
        train_options=config.train,
        heads=config.heads,
        beam_arguments=config.beam.arguments,
    )


def _keep_by_content(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A copy whose path names its content, so that a cache that sees the path sees an edit."""
    kept = folder / sha256(file)[:16] / file.name
    if not kept.exists():
        write_text(kept, file.read_text(encoding="utf-8"))
    return kept


def _new_run_id() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@contextlib.contextmanager
def _lock(workdir: pathlib.Path) -> Iterator[None]:
    """Holds the work directory; the kernel lets go of it when the process dies, however it dies."""
    with (workdir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise BusyError(f"{workdir}: another run holds it (process {file.read()})") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextlib.contextmanager
def _quiet(log: pathlib.Path) -> Iterator[TextIO]:
    """Sends stdout and stderr, of C++ code too, to a log; yields the terminal's stderr.

    Lines of our own loggers (`ragline.*`) go to both.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    with log.open("ab", buffering=0) as file, os.fdopen(os.dup(2), "w", buffering=1) as terminal:
        handlers = _handlers(terminal)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield terminal
        finally:
            for logger, handler in handlers:
                logger.removeHandler(handler)
            sys.stdout.flush()
            sys.stderr.flush()
            for target, source in zip((1, 2), saved, strict=True):
                os.dup2(source, target)
                os.close(source)


def _handlers(terminal: TextIO) -> list[tuple[logging.Logger, logging.Handler]]:
    everything = logging.StreamHandler(sys.stderr)
    everything.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours = logging.StreamHandler(terminal)
    ours.setFormatter(logging.Formatter("        %(message)s"))
    ours.addFilter(lambda record: record.exc_info is None)
    root, ragline = logging.getLogger(), logging.getLogger("ragline")
    root.setLevel(logging.INFO)
    handlers = [(root, everything), (ragline, ours)]
    for logger, handler in handlers:
        logger.addHandler(handler)
    return handlers
