"""Run the pipeline in a work directory: `run` once, `compare` once for each strategy."""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from ragline.components.contract import exits
from ragline.components.contract.errors import BadDataError, UserError
from ragline.components.files.storage import standard, write_json
from ragline.components.push.contract import check
from ragline.components.push.release import ledger
from ragline.components.runtime import progress
from ragline.components.train import padding
from ragline.components.train.options import TuneOptions
from ragline.pipeline.cache import cache_key, gather_facts
from ragline.pipeline.config import Config, ConfigError, Contract, read_contract
from ragline.pipeline.report import comparison
from ragline.pipeline.run_facts import RunFacts
from ragline.pipeline.runs import machine_errors, preflight, spans, workdir
from ragline.pipeline.runs.machine_errors import MachineError
from ragline.pipeline.runs.memory import MemoryWatch
from ragline.pipeline.runs.redaction import redacted_data
from ragline.pipeline.runs.workdir import LOG_FILE, SUMMARY_FILE, Session
from ragline.pipeline.served import signature

if TYPE_CHECKING:
    from ragline.pipeline.cache.cache_guard import CacheGuard
    from ragline.pipeline.cache.lineage import Stage


class StageFailedError(UserError):
    """Says why a stage of a comparison failed, and where the traceback is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Holds the outcome of a run.

    Attributes:
      summary: content of summary.json, the exit code among it.
      folder: folder runs/<run id>, with summary.json, report.html, config.toml and log.txt.
    """

    summary: dict[str, Any]
    folder: pathlib.Path


def run(
    config: Config, force_bless_reason: str = "", new_signature: str = "", *, verbose: bool = False
) -> Outcome:
    """Run the pipeline once, from raw files to a pushed encoder or a sentence why not.

    Args:
      config: configuration of the run.
      force_bless_reason: reason to bless the model in any case (evaluate/verdict/judgement.py);
        empty not to.
      new_signature: reason why the encoder may have other inputs or outputs than the served one;
        empty if it may not.
      verbose: whether to show the log, too.

    Raises:
      BusyError: another run holds the work directory; nothing was touched.
      ConfigError: the work directory is another pipeline's, or cannot be written to, or the disk
        has no room.
      MachineError: the machine stopped the run, and the summary could not be written either.
    """
    contract = read_contract(config)
    wanted = signature.configured(config, contract.columns)
    signature_change = signature.check(wanted, pathlib.Path(config.workdir), new_signature)
    with workdir.opened(config, verbose=verbose) as session:
        config = dataclasses.replace(config, workdir=str(session.workdir))
        _prepare(config, session)
        stamps, key = spans.stamps(config.input), spans.key_before(config, contract)
        from ragline.pipeline.report import html_page, page_tables, run_files
        from ragline.pipeline.report.summary import collect

        memory = MemoryWatch()
        stages: Mapping[str, Stage] = {}
        failure = None if force_bless_reason else _certain_failure(config, contract, session)
        if failure is None:
            stages, failure = _execute(
                config,
                contract,
                session,
                session.run_id,
                memory,
                force_bless_reason=force_bless_reason,
                signature_change=signature_change,
            )
            failure = failure or _unserved(stages)
        summary = collect(stages, session.run_id, failure, memory.peaks)
        summary["comparison"] = comparison.read(session.workdir)
        samples = run_files.read_samples(stages)
        summary["worst"] = page_tables.worst(samples)
        # Now, so that the printed, the kept and the shown summary are the same.
        summary = redacted_data(standard(summary))
        try:
            write_json(session.folder / SUMMARY_FILE, summary)
            html_page.write(session.folder, summary, samples)
            # If files were touched meanwhile, the key may be that of another content.
            spans.record(config, summary, key if spans.stamps(config.input) == stamps else "")
            if summary["exit_code"] in (exits.DONE, exits.NOT_BLESSED):
                _clean(config, session)
        except OSError:
            if isinstance(failure, MachineError):
                raise failure from None
            raise
        return Outcome(summary=summary, folder=session.folder)


def _clean(config: Config, session: Session) -> None:
    """Remove what is not kept of earlier runs; what stands in the way is said, and is no failure.

    A run that failed removes nothing: somebody will look for what was different before.
    """
    from ragline.pipeline.cache import clean  # Late: it imports ML Metadata.

    try:
        removed = clean.clean_held(config, session.workdir, spared=session.run_id)
    except (OSError, UserError) as error:
        session.display.line(f"what [keep] does not keep of earlier runs stays: {error}")
        return
    if removed.items:
        session.display.line(removed.sentence())


def compare(config: Config, *, verbose: bool = False) -> list[dict[str, Any]]:
    """Train every strategy of `train.padding` on the same data and seed; push nothing.

    The stages from ingest to transform run once and are then cached. `tune` is left out: the
    strategies are compared with the same options.

    Returns:
      One row a strategy; also kept in the work directory for the next run's report.

    Raises:
      BusyError: another run holds the work directory; nothing was touched.
      ConfigError: the work directory cannot be written to, or an option does not fit a strategy.
      BadDataError: the data cannot be used.
      StageFailedError: a stage failed for another reason.
    """
    try:
        trainings = [dataclasses.replace(config.train, padding=name) for name in padding.STRATEGIES]
    except ValueError as error:
        raise ConfigError(f"train.{error}; compare trains every strategy") from error
    contract = read_contract(config)
    wanted = signature.configured(config, contract.columns)
    signature.check_pipeline(wanted, pathlib.Path(config.workdir))
    with workdir.opened(config, verbose=verbose) as session:
        config = dataclasses.replace(config, workdir=str(session.workdir))
        _prepare(config, session)
        from ragline.pipeline.report import summary

        rows = []
        for options in trainings:
            session.display.line(f"strategy {options.padding}")
            stages, failure = _execute(
                dataclasses.replace(config, train=options, tune=TuneOptions()),
                contract,
                session,
                f"{session.run_id}-{options.padding}",
                MemoryWatch(),
                skip=("evaluate", "baselines", "verdict", "push"),
            )
            if isinstance(failure, UserError):
                raise failure
            if failure is not None:
                raise StageFailedError(
                    f"failed: {summary.reason(failure)}\n"
                    f"the traceback is in {session.folder / LOG_FILE}"
                ) from failure
            rows.append(standard(summary.comparison_row(stages)))
        comparison.write(session.workdir, rows)
        return rows


def _prepare(config: Config, session: Session) -> None:
    """Check the machine, and recover from an interrupted run."""
    preflight.check(config)
    if config.train.strategy == "multi_worker":
        # Another process trains, and this one would take all memory of its GPU.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    from ragline.pipeline.cache import recovery  # Late: it imports ML Metadata.

    recovery.recover(session.workdir, session.journal)
    ledger.next_version(session.workdir / workdir.SERVING)  # Fails now if no number is free.


def _certain_failure(config: Config, contract: Contract, session: Session) -> Exception | None:
    """Return what will certainly stop this run, as `ragline plan` finds it in seconds; or None.

    What plan notes is shown in the terminal.
    """
    from ragline.pipeline.onboard import plan

    try:
        stops, notes = plan.foresee(config, contract)
    except (BadDataError, OSError, ValueError):  # A ValueError for a store that Beam does not know.
        return None  # Ingest will say so, and keep the rejected records.
    for note in notes:
        session.display.line(f"note: {note}")
    return BadDataError("insufficient_data", *stops) if stops else None


def _execute(
    config: Config,
    contract: Contract,
    session: Session,
    run_id: str,
    memory: MemoryWatch,
    skip: Collection[str] = (),
    force_bless_reason: str = "",
    signature_change: str = "",
) -> tuple[Mapping[str, "Stage"], Exception | None]:
    """Run the stages under a run id; return what they did, and the error that stopped them."""
    from ragline.pipeline.cache import artifact_manifests, cache_guard, lineage, repeat

    database = session.workdir / preflight.DATABASE
    guard = cache_guard.CacheGuard(
        database, artifact_manifests.ArtifactManifests(session.workdir), config.name, run_id
    )

    def stages() -> dict[str, lineage.Stage]:
        return lineage.stages(database, config.name, run_id)

    def say_start(place: int, total: int, stage: str) -> None:
        memory.begin(stage)
        session.display.start(place, total, stage)

    def say_end(stage: str) -> None:
        memory.end()
        ended = stages()
        session.display.end(ended[stage].state, ended[stage].seconds)
        if stage == "baselines" and ended["train"].state == "ran":
            prepare_check()

    try:
        facts = gather_facts.gather(
            config, contract, session.workdir, force_bless_reason, signature_change
        )
        key = facts.key(config, cache_key.versions())
        with (
            memory.watching(),
            progress.reporting_to(session.display),
            check.prepared() as prepare_check,
        ):
            former = None if skip else repeat.find(database, config.name, key, guard)
            if former:
                repeat.repeat(
                    database, config.name, run_id, former, on_start=say_start, on_end=say_end
                )
            else:
                _run_stages(config, facts, session.workdir, run_id, guard, skip, say_start, say_end)
        if not skip:
            # What it pushed is compared with itself by the next run, unless that repeats this one.
            afterwards = dataclasses.replace(
                facts, **gather_facts.served(config, contract, session.workdir)
            )
            keys = {key, afterwards.key(config, cache_key.versions())}
            repeat.remember(
                database, run_id, {key} if force_bless_reason or signature_change else keys
            )
    except Exception as error:
        logging.getLogger("ragline").exception("the run failed")
        sentence = _machine_error(error, session.workdir)
        try:
            return stages(), MachineError(sentence) if sentence else error
        except Exception as unreadable:  # The database suffers from the same error.
            return {}, MachineError(sentence or f"{database}: {unreadable}")
    return stages(), None


def _run_stages(
    config: Config,
    facts: RunFacts,
    folder: pathlib.Path,
    run_id: str,
    guard: "CacheGuard",
    skip: Collection[str],
    on_start: Callable[[int, int, str], object],
    on_end: Callable[[str], object],
) -> None:
    """Wire the stages and run them by TFX; arguments as `tfx_run.run` takes them."""
    # Late, because these imports take 8 to 25 seconds; inside the log, because they print.
    from ragline.components.runtime import cores
    from ragline.pipeline.runs import tfx_run

    cores.prepare()
    compiled = tfx_run.compile_pipeline(
        _wired(config, facts, folder, pathlib.Path()),
        run_id,
        cache_key.versions(),
        config.records,
    )
    tfx_run.run(compiled, guard, skip=skip, on_start=on_start, on_end=on_end)


def _unserved(stages: Mapping[str, "Stage"]) -> MachineError | None:
    """Check the pushed version once more, so that a run ends with what is served."""
    from ragline.components.contract.file_names import PUSH_FILE
    from ragline.pipeline.cache import cache_guard

    report = stages["push"].read("report", PUSH_FILE)
    sentence = cache_guard.unserved(pathlib.Path(stages["push"].outputs["report"]), report)
    return MachineError(sentence) if sentence else None


def _machine_error(error: Exception, folder: pathlib.Path) -> str | None:
    """Return the sentence on an error of the machine; None if it is another, or of the data."""
    return None if isinstance(error, BadDataError) else machine_errors.sentence(error, folder)


def pipeline_of(
    config: Config,
    contract: Contract,
    folder: pathlib.Path,
    force_bless_reason: str = "",
    signature_change: str = "",
    *,
    portable: bool = True,
) -> Any:
    """Wire the stages for a work directory; reads the input files for their digest.

    Args:
      config: the configuration of the run.
      contract: the schema and the verdict's rules.
      folder: the work directory.
      force_bless_reason: the reason to bless the model in any case; empty not to.
      signature_change: the sentence on a new signature; empty if it is that of what is served.
      portable: whether stages are given paths relative to the work directory, which they find by
        their artifacts; without, absolute ones, for an engine that keeps artifacts elsewhere.
    """
    # The work directory as stages are given it.
    given = pathlib.Path() if portable else folder
    facts = gather_facts.gather(
        config, contract, folder, force_bless_reason, signature_change, given
    )
    return _wired(config, facts, folder, given)


def _wired(config: Config, facts: RunFacts, folder: pathlib.Path, given: pathlib.Path) -> Any:
    """Wire the stages; `given` is the work directory as stages know it."""
    from ragline.pipeline import dag

    return dag.create_pipeline(
        config,
        dag.WorkdirPaths(
            artifacts=folder / "artifacts",
            metadata=folder / preflight.DATABASE,
            checkpoints=given / "checkpoints",
            trials=given / "trials",
            quarantine=given / "quarantine",
            serving=given / workdir.SERVING,
        ),
        facts,
    )
