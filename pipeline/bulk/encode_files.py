"""Encode raw files as embeddings in Parquet, for `ragline encode`: resumable, all or nothing.

`encode_output` keeps the result and the work on it. A job that was cut off resumes, if files,
options, encoder and code are the same; otherwise it begins anew.
"""

import dataclasses
import json
import logging
import os
import pathlib
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import digest_of, manifest, read_json, write_json
from ragline.components.ingest.options import SEQUENCE, InputOptions
from ragline.components.ingest.source.patterns import fields
from ragline.components.runtime import progress
from ragline.components.runtime.beam_options import BeamOptions
from ragline.components.serving import versions
from ragline.components.serving.encoder import Facts
from ragline.components.serving.facts import InputFacts
from ragline.pipeline import config as configuration
from ragline.pipeline.bulk import drift, embedder, encode_output
from ragline.pipeline.bulk.encode_output import (
    LOG_FILE,
    REJECTED_FILE,
    SUMMARY_FILE,
    EncodeJob,
    Output,
)
from ragline.pipeline.cache import cache_key
from ragline.pipeline.config import ConfigError
from ragline.pipeline.runs import machine_errors, workdir
from ragline.pipeline.runs.machine_errors import MachineError
from ragline.pipeline.runs.redaction import redacted_data
from ragline.pipeline.served import encoders

_DIGEST = "digest"
NO_DRIFT: dict[str, Any] = {"features": {}, "categories": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """States which files are to be encoded, and by which encoder.

    Attributes:
      input: the options by which raw files are read; its `train` names them.
      max_share: the share of the records that may be rejected.
      beam: the options of the runner.
      columns: the features and categories that raw files must hold.
      facts: the encoder's facts.
      max_drift: the most that a feature may drift from the training data; None does not stop.
      errors: whether to compute reconstruction errors, by the decoder.
      bfloat16: whether to compute in bfloat16, where the encoder has a fast form and the processor
        has it.
    """

    input: InputOptions
    max_share: float
    beam: BeamOptions
    columns: Columns
    facts: Facts
    max_drift: float | None = None
    errors: bool = False
    bfloat16: bool = False


def read_request(
    source: str,
    pattern: str,
    overrides: Sequence[str] = (),
    folder: str | None = None,
    max_drift: float | None = None,
    errors: bool = False,
    bfloat16: bool = False,
) -> Request:
    """Read the request of a command or a call.

    Args:
      source: a configuration, whose newest sound encoder is taken, or the folder of an encoder,
        which may be a URI.
      pattern: the pattern of the raw files.
      overrides: `key=value` each; with an encoder, keys of `input`, `quarantine` and `beam` alone,
        in place of the options of `input` that the encoder states.
      folder: a work directory in place of the configuration's `workdir`.
      max_drift: see `Request`.
      errors: see `Request`.
      bfloat16: see `Request`.

    Raises:
      ConfigError: one line a mistake.
      NoEncoderError: the folder holds none.
      DamagedModelError: a file of the encoder is not what was pushed.
      LedgerError: the ledger of pushed encoders cannot be read.
    """
    if errors and bfloat16:
        raise ConfigError(
            "--bfloat16: expected it without --errors, which TensorFlow computes in float32"
        )
    local = places.is_local(source)
    if not local or (
        os.path.isdir(source) and not configuration.is_configuration(pathlib.Path(source))
    ):
        if folder is not None:
            raise ConfigError("--workdir: expected it with a configuration, not an encoder")
        if places.is_pattern(source):
            raise ConfigError(f"encoder: expected a URI without * ? [ ], received {source}")
        facts = Facts.read(source)
        versions.check(facts.path)  # The ledger checks a configuration's encoder.
        stated = _stated_options(facts.input, pattern)
        reading = configuration.load_reading(pattern, overrides, stated)
        columns = facts.columns
    else:
        config = configuration.load(source, overrides, folder)
        facts = Facts.read(encoders.newest(config))
        columns = configuration.read_contract(config).columns
        columns = dataclasses.replace(columns, context={}, has_missing_bucket=False)
        _check_same(columns, facts)
        reading = configuration.Reading(
            input=_other_files(config.input, pattern),
            quarantine=config.quarantine,
            beam=config.beam,
        )
    return Request(
        input=reading.input,
        max_share=reading.quarantine.max_share,
        beam=reading.beam,
        columns=columns,
        facts=facts,
        max_drift=max_drift,
        errors=errors,
        bfloat16=bfloat16,
    )


def _check_same(columns: Columns, facts: Facts) -> None:
    expected = [*facts.columns.names, *(category.name for category in facts.columns.categories)]
    received = [*columns.names, *(category.name for category in columns.categories)]
    if expected != received:
        raise ConfigError(
            f"schema: expected the columns that {facts.path} was trained on, "
            f"{', '.join(expected)}, received {', '.join(received)}"
        )


def _stated_options(stated: InputFacts, pattern: str) -> dict[str, Any]:
    """Return the options that an encoder states, for other files than those of its training."""
    entity = _entity_of(stated.options.get("entity"), stated.fields, pattern)
    return {**stated.options, "entity": entity}


def _entity_of(entity: str | None, known: Collection[str], pattern: str) -> str | None:
    """Return the entity's column; of a field that the new pattern lacks, each sequence is one.

    An entity splits, and here nothing is split.
    """
    return SEQUENCE if entity in known and entity not in fields(pattern) else entity


def _other_files(options: InputOptions, pattern: str) -> InputOptions:
    """Return a configuration's options for other files, which are not split."""
    spans = options.spans if "{SPAN" in pattern or "{YYYY}" in pattern else 1
    try:
        return dataclasses.replace(
            options,
            train=configuration.absolute(pattern),
            eval=None,
            eval_from=None,
            spans=spans,
            entity=_entity_of(options.entity, options.fields, pattern),
        )
    except ValueError as error:
        raise ConfigError(f"--input: {error}") from error


def encode(request: Request, output: Place) -> dict[str, Any]:
    """Encode raw files, unless `output` holds the result already.

    Args:
      request: the files and the encoder.
      output: a folder, or its URI in a store, that does not exist, is empty, or holds an earlier
        result, which is replaced.

    Returns:
      The content of `_summary.json`: what `reconcile` returns, `parts` [{name, rows, bytes}],
      `model` {path, version, embedding_size, runtime, golden_difference}, `formats`, `drift`, what
      `drift.measure` returns, `warnings`, sentences on the drift and on a runtime that is not the
      requested one; and `digest`, of all that decides the result.

    Raises:
      BadDataError: the input as a whole cannot be used, or drifted too far; `output` is as it was.
      BusyError: another process encodes into `output`.
      ConfigError: `output` cannot hold the result.
      MachineError: the machine stopped the job; called again, it resumes.
    """
    from ragline.components.ingest.source import read_plan

    place = encode_output.output_at(output)
    place.check()
    watched = read_plan.watch(request.input)
    digest = _digest(request)
    if (earlier := _earlier_result(place.folder, digest)) is not None:
        _check_drift(earlier["drift"], request)
        return earlier
    # A job that was cut off resumes only if no file was touched since, even without a change.
    with place.begin(digest_of([digest, repr(sorted(watched.stamps.items()))])) as job:
        with workdir.quiet(job.log) as display:
            started = time.monotonic()
            display.start(1, 1, "encode")
            try:
                with progress.reporting_to(display):
                    summary = {**redacted_data(_run(request, job, place)), _DIGEST: digest}
                watched.check(summary["formats"])
                write_json(f"{job.folder}/{SUMMARY_FILE}", summary)
                display.end("ran", time.monotonic() - started)
            except Exception as error:
                left = (
                    f"{place.work} holds what was done so far: the same command goes on with it, "
                    "another one into the same folder removes it"
                )
                if isinstance(error, BadDataError):
                    raise BadDataError(error.code, *error.lines, left) from error
                logging.getLogger(__name__).exception("encode failed")
                sentence = machine_errors.sentence(error, job.log.parent)
                raise MachineError(
                    f"{sentence or f'failed: {error}; see {job.folder}/{LOG_FILE}'}\n{left}"
                ) from error
        place.publish(job)
    return summary


def _digest(request: Request) -> str:
    from ragline.components.ingest.source import read_plan

    facts, options = request.facts, dataclasses.asdict(request.input)
    model = manifest(facts.path)
    return digest_of(
        [
            read_plan.fingerprint(request.input),
            json.dumps(options, sort_keys=True),
            repr(request.columns),
            facts.version,
            f"errors {request.errors}, bfloat16 {request.bfloat16}",
            *(f"{name} {model[name]['sha256']}" for name in sorted(model)),
            cache_key.source(),
        ]
    )


def _earlier_result(folder: str, digest: str) -> dict[str, Any] | None:
    """Return the summary of an earlier result of the same job, if all its parts are there."""
    try:
        summary: dict[str, Any] = read_json(f"{folder}/{SUMMARY_FILE}")
        sizes = [places.size(f"{folder}/{part['name']}") for part in summary["parts"]]
        same = summary[_DIGEST] == digest and sizes == [part["bytes"] for part in summary["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if same else None


def _run(request: Request, job: EncodeJob, place: Output) -> dict[str, Any]:
    # Late: Beam and ingest's imports take seconds.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from ragline.components.ingest.beam import packed_rows, process
    from ragline.components.ingest.output import ingest_report
    from ragline.components.ingest.source import read_plan, units
    from ragline.pipeline.bulk import encode_job

    context = process.IngestContext(
        columns=request.columns, options=request.input, files=(), folders={}, staging=job.staging
    )
    plan = read_plan.make(request.input, context.raw_columns, units.UNIT_BYTES)
    context = dataclasses.replace(context, files=plan.files)
    grouped = bool(request.input.group_by)
    units_of = [unit.index for unit in plan.units]
    place.expect(os.path.basename(encode_job.part_file(job.folder, unit)) for unit in units_of)
    progress.expect(sum(piece.size for unit in plan.units for piece in unit.pieces), "B")
    encode_job.run(
        beam.Pipeline(options=PipelineOptions(request.beam.arguments)),
        plan.units,
        context,
        shards=packed_rows.shard_count(plan.units, units.UNIT_BYTES) if grouped else None,
        facts=request.facts,
        folder=job.folder,
        errors=request.errors,
        bfloat16=request.bfloat16,
    )
    unit_reports = ingest_report.reports(job.staging, plan.units, grouped=grouped)
    rejected = [process.quarantine_file(job.staging, report["unit"]) for report in unit_reports]
    quarantine = f"{job.folder}/{REJECTED_FILE}"
    reasons, _ = ingest_report.gather_quarantine(rejected, quarantine)
    summary = reconcile(unit_reports, reasons)
    ingest_report.check_rejected(
        summary, options=request.input, max_share=request.max_share, quarantine=quarantine
    )
    compared = [part for report in unit_reports for part in report["compared"]]
    trained_on = request.facts.features
    measured = drift.measure(drift.merged(compared), trained_on) if compared else NO_DRIFT
    _check_drift(measured, request)
    paths = (encode_job.part_file(job.folder, report["unit"]) for report in unit_reports)
    rows = [report["rows_written"] for report in unit_reports]
    runtimes = sorted({report["runtime"] for report in unit_reports})
    differences = [report["golden_difference"] for report in unit_reports]
    return summary | {
        "parts": [
            {"name": os.path.basename(path), "rows": count, "bytes": places.size(path)}
            for path, count in zip(paths, rows, strict=True)
            if count
        ],
        "model": {
            "path": request.facts.path,
            "version": request.facts.version,
            "embedding_size": request.facts.embedding_size,
            "runtime": " and ".join(runtimes),
            "golden_difference": max((d for d in differences if d is not None), default=None),
        },
        "formats": plan.formats,
        "drift": measured,
        "warnings": [*drift.describe(measured, trained_on), *_slower(request, runtimes)],
    }


def _slower(request: Request, runtimes: Sequence[str]) -> list[str]:
    """Return a sentence if some units were not computed in bfloat16 that should have been."""
    others = [name for name in runtimes if name != embedder.BFLOAT16]
    if not request.bfloat16 or not others:
        return []
    return [f"--bfloat16: computed by {' and '.join(others)}; {LOG_FILE} says why"]


def _check_drift(measured: Mapping[str, Any], request: Request) -> None:
    """Stop where the request bounds the drift, and the data drifted further.

    Raises:
      BadDataError: a sentence for each feature and category.
    """
    if request.max_drift is not None:
        lines = [*drift.describe(measured, request.facts.features, request.max_drift)]
        if lines:
            raise BadDataError("drift", *lines)


def reconcile(
    unit_reports: Collection[Mapping[str, Any]], reasons: Mapping[str, int]
) -> dict[str, Any]:
    """Add up the reports of all units of an encoding.

    Args:
      unit_reports: the reports of all units.
      reasons: code -> number of records in the quarantine.

    Returns:
      What `ingest_report.reconcile_records` returns, `accepted` records as `encoded`; sequences,
      steps.

    Raises:
      RuntimeError: a record or a sequence was lost.
    """
    from ragline.components.ingest.output import ingest_report

    records = ingest_report.reconcile_records(unit_reports, reasons)
    total: Counter[str] = Counter(sequences=0, steps=0, rows_written=0)
    for report in unit_reports:
        total.update({key: report[key] for key in total})
    if total["rows_written"] != total["sequences"]:
        raise RuntimeError(
            f"lost sequences: encoded {total['sequences']}, but {total['rows_written']} stand in "
            "the parts"
        )
    records["encoded"] = records.pop("accepted")
    return {**records, "sequences": total["sequences"], "steps": total["steps"]}
