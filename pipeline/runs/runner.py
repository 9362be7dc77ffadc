"""Runs of the pipeline in a work directory: `run`, one of them, and `compare`, one a strategy."""

import dataclasses
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, get_args

from ragline import schemas
from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError, ToldError
from ragline.components.contract.redaction import redacted_data
from ragline.components.files.storage import standard, write_bytes, write_json
from ragline.components.push.release import ledger
from ragline.components.runtime import progress
from ragline.components.train.options import Padding, TuneOptions
from ragline.pipeline.cache import cache_key
from ragline.pipeline.config import Config, ConfigError, load_rules
from ragline.pipeline.report import comparison
from ragline.pipeline.runs import machine_errors, preflight, spans, workdir
from ragline.pipeline.runs.machine_errors import TroubleError
from ragline.pipeline.runs.memory import Watch
from ragline.pipeline.runs.workdir import LOG_FILE, SUMMARY_FILE, Session
from ragline.pipeline.served import signature

if TYPE_CHECKING:
    from ragline.components.evaluate.verdict.baseline_model import BaselineModel
    from ragline.pipeline.cache.lineage import Stage


class FailedError(ToldError):
    """A stage of a comparison failed; says why, and where the traceback is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
      summary: what summary.json holds, the exit code among it.
      folder: runs/<run id>, with summary.json, report.html, config.toml and log.txt.
    """

    summary: dict[str, Any]
    folder: pathlib.Path


def run(
    config: Config, force_bless_reason: str = "", new_signature: str = "", *, verbose: bool = False
) -> Outcome:
    """Runs the pipeline once, from raw files to a pushed encoder or a sentence why not.

    Args:
      config: of the run.
      force_bless_reason: why to bless the model in any case (evaluate/verdict/judgement.py); empty
        not to.
      new_signature: why the encoder may take or give something else than the one that is served;
        empty if it may not.
      verbose: show the log, too.

    Raises:
      BusyError: another run holds the work directory; nothing was touched.
      ConfigError: the work directory is another pipeline's, or cannot be written to, or the disk
        has no room.
      TroubleError: the machine stopped the run, and the summary could not be written either.
    """
    changed = signature.check(config, new_signature)
    with workdir.opened(config, verbose=verbose) as session:
        config = dataclasses.replace(config, workdir=str(session.workdir))
        _prepare(config, session)
        stamps, key = spans.stamps(config), spans.key_before(config)
        from ragline.components.contract.artifacts import SAMPLES_FILE
        from ragline.pipeline.report import html_page, summary

        seen = Watch()
        stages: Mapping[str, Stage] = {}
        failure = None if force_bless_reason else _foreseen(config, session)
        if failure is None:
            stages, failure = _execute(
                config,
                session,
                session.run_id,
                seen,
                force_bless_reason=force_bless_reason,
                changed=changed,
            )
            failure = failure or _unserved(stages)
        found = summary.collect(stages, session.run_id, failure, seen.peaks)
        found["comparison"] = comparison.read(session.workdir)
        # So that what is printed, kept and shown is the same.
        found = redacted_data(standard(found))
        try:
            write_json(session.folder / SUMMARY_FILE, found)
            samples = stages["train"].read("model_run", SAMPLES_FILE) if "train" in stages else None
            html_page.write(session.folder, found, samples)
            # Of files that were touched meanwhile, nobody knows which content the key is of.
            spans.record(config, found, key if spans.stamps(config) == stamps else "")
        except OSError:
            if isinstance(failure, TroubleError):
                raise failure from None
            raise
        return Outcome(summary=found, folder=session.folder)


def compare(config: Config, *, verbose: bool = False) -> list[dict[str, Any]]:
    """Trains every strategy of `train.padding` on the same data and seed; pushes nothing.

    What the strategies share, from ingest to transform, runs once and is cached. `tune` is left
    out: the strategies are compared with the same options.

    Returns:
      One row a strategy, also kept in the work directory, where the next report finds it.

    Raises:
      BusyError: another run holds the work directory; nothing was touched.
      ConfigError: the work directory cannot be written to, or an option does not fit a strategy.
      BadDataError: the data cannot be used.
      FailedError: a stage failed for another reason.
    """
    try:
        trainings = [
            dataclasses.replace(config.train, padding=padding) for padding in get_args(Padding)
        ]
    except ValueError as error:
        raise ConfigError(f"train.{error}; compare trains every strategy") from error
    signature.check_pipeline(config)
    with workdir.opened(config, verbose=verbose) as session:
        config = dataclasses.replace(config, workdir=str(session.workdir))
        _prepare(config, session)
        from ragline.pipeline.report import summary

        rows = []
        for options in trainings:
            session.display.line(f"strategy {options.padding}")
            stages, failure = _execute(
                dataclasses.replace(config, train=options, tune=TuneOptions()),
                session,
                f"{session.run_id}-{options.padding}",
                Watch(),
                skip=("evaluate", "baselines", "verdict", "push"),
            )
            if isinstance(failure, ToldError):
                raise failure
            if failure is not None:
                raise FailedError(
                    f"failed: {summary.reason(failure)}\n"
                    f"the traceback is in {session.folder / LOG_FILE}"
                ) from failure
            rows.append(standard(summary.comparison_row(stages)))
        comparison.write(session.workdir, rows)
        return rows


def _prepare(config: Config, session: Session) -> None:
    """Looks at the machine, and puts in order what an interrupted run left."""
    preflight.check(config)
    if config.train.strategy == "multi_worker":
        # A process of its own trains, on the GPU of which this one would take all memory.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    from ragline.pipeline.cache import recovery  # Late: it imports ML Metadata.

    recovery.recover(session.workdir, session.journal)
    ledger.next_version(session.workdir / workdir.SERVING)  # If there is none, now.


def _foreseen(config: Config, session: Session) -> Exception | None:
    """Return what `ragline plan` would say stops this run, where that is certain in seconds.

    What plan notes is said in the terminal.
    """
    from ragline.pipeline.onboard import plan

    try:
        stops, notes = plan.foresee(config)
    except (BadDataError, OSError, ValueError):  # The last of a store that Beam does not know.
        return None  # Ingest says it, and keeps what it has rejected.
    for note in notes:
        session.display.line(f"note: {note}")
    return BadDataError("insufficient_data", *stops) if stops else None


def _execute(
    config: Config,
    session: Session,
    run_id: str,
    seen: Watch,
    skip: Collection[str] = (),
    force_bless_reason: str = "",
    changed: str = "",
) -> tuple[Mapping[str, "Stage"], Exception | None]:
    """Runs the stages under a run id; what they did, and what stopped them, if anything did."""
    # Late, because they take 10 to 25 seconds, and inside the log, because they chatter.
    from ragline.components.runtime import cores
    from ragline.pipeline.cache import artifact_manifests, cache_guard, lineage
    from ragline.pipeline.runs import tfx_run

    cores.prepare()
    database = session.workdir / preflight.DATABASE
    reused = cache_guard.Reuse(
        database, artifact_manifests.Seals(session.workdir), config.name, run_id
    )

    def stages() -> dict[str, lineage.Stage]:
        return lineage.stages(database, config.name, run_id)

    def say_start(place: int, total: int, stage: str) -> None:
        seen.begin(stage)
        session.display.start(place, total, stage)

    def say_end(stage: str) -> None:
        seen.end()
        ended = stages()[stage]
        session.display.end(ended.state, ended.seconds)

    try:
        compiled = tfx_run.compile_pipeline(
            pipeline_of(config, session.workdir, force_bless_reason, changed),
            run_id,
            cache_key.versions(),
        )
        with seen.watching(), progress.told_to(session.display):
            tfx_run.run(compiled, reused, skip=skip, on_start=say_start, on_end=say_end)
    except Exception as error:
        logging.getLogger("ragline").exception("the run failed")
        told = _trouble(error, session.workdir)
        try:
            return stages(), TroubleError(told) if told else error
        except Exception as unreadable:  # The machine's trouble is the database's, too.
            return {}, TroubleError(told or f"{database}: {unreadable}")
    return stages(), None


def _unserved(stages: Mapping[str, "Stage"]) -> TroubleError | None:
    """Looks at the version that was pushed once more: what a run ends with is what is served."""
    from ragline.components.contract.artifacts import PUSH_FILE
    from ragline.pipeline.cache import cache_guard

    report = stages["push"].read("report", PUSH_FILE)
    told = cache_guard.unserved(pathlib.Path(stages["push"].outputs["report"]), report)
    return TroubleError(told) if told else None


def _trouble(error: Exception, folder: pathlib.Path) -> str | None:
    """The machine's trouble; what is wrong with the data is never taken for it."""
    return None if isinstance(error, BadDataError) else machine_errors.sentence(error, folder)


def pipeline_of(
    config: Config,
    folder: pathlib.Path,
    force_bless_reason: str = "",
    changed: str = "",
    *,
    portable: bool = True,
) -> Any:
    """The stages, wired, for a work directory in `folder`; reads the input files to name them.

    Args:
      config: of the run.
      folder: the work directory.
      force_bless_reason: why to bless the model in any case; empty not to.
      changed: the sentence on a new signature; empty if it is that of what is served.
      portable: whether stages are given paths from the work directory, which they find by their
        artifacts; without, absolute ones, for an engine that keeps artifacts elsewhere.
    """
    from ragline.components.ingest.source import read_plan
    from ragline.pipeline import dag

    schema_file = _keep_by_content(schemas.locate(config.schema), folder / "schemas")
    stated = pathlib.Path() if portable else folder
    return dag.create_pipeline(
        name=config.name,
        paths=dag.WorkdirPaths(
            artifacts=folder / "artifacts",
            metadata=folder / preflight.DATABASE,
            checkpoints=stated / "checkpoints",
            trials=stated / "trials",
            quarantine=stated / "quarantine",
            serving=stated / workdir.SERVING,
        ),
        columns=Columns.from_schema(schemas.load(schema_file)),
        schema_file=stated / schema_file.relative_to(folder),
        ingest_options=json.dumps(
            {
                "input": dataclasses.asdict(config.input),
                "quarantine": dataclasses.asdict(config.quarantine),
            }
        ),
        input_fingerprint=read_plan.fingerprint(config.input),
        drift_options=json.dumps(dataclasses.asdict(config.drift)),
        train_options=config.train,
        tune_options=config.tune,
        heads=config.heads,
        rules=json.dumps(dataclasses.asdict(load_rules(config))),
        baseline_model=_baseline_model(config, folder / workdir.SERVING, stated / workdir.SERVING),
        state=ledger.state(folder / workdir.SERVING),
        force_bless_reason=force_bless_reason,
        new_signature=changed,
        given_split=config.input.eval is not None,
        push_options=config.push,
        beam_arguments=config.beam.arguments,
    )


def _baseline_model(
    config: Config, serving: pathlib.Path, stated: pathlib.Path
) -> "BaselineModel | None":
    """The newest version that the ledger knows, its path as a stage is given it.

    Of no other is the model loaded.
    """
    from ragline.components.evaluate.verdict import baseline_model

    version = ledger.newest(serving)
    if version is None:
        return None
    unlike = signature.unlike(config, version.path)
    described = baseline_model.describe(version.number, version.path, unlike)
    return dataclasses.replace(described, path=str(stated / version.path.name))


def _keep_by_content(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A copy whose path names its content, so that a cache that sees the path sees an edit."""
    content = file.read_text(encoding="utf-8-sig").encode()
    kept = folder / hashlib.sha256(content).hexdigest()[:16] / file.name
    if not kept.is_file() or kept.read_bytes() != content:
        write_bytes(kept, content)
    return kept
