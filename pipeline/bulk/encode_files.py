"""`ragline encode`: raw files -> embeddings in Parquet, resumable, all of it there or none.

What it writes, and where it works meanwhile, is `encode_output`'s. A job that was cut off goes on
where it was, if files, options, encoder and code are what they were; if not, it begins anew.
"""

import dataclasses
import json
import logging
import os
import pathlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragline import schemas
from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.contract.redaction import redacted_data
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import digest_of, manifest, read_json, write_json
from ragline.components.ingest.options import SEQUENCE, InputOptions
from ragline.components.ingest.source.patterns import fields
from ragline.components.push.release import ledger
from ragline.components.runtime import progress
from ragline.components.runtime.beam_options import BeamOptions
from ragline.components.serving import versions
from ragline.components.serving.encoder import Facts
from ragline.pipeline import config as configuration
from ragline.pipeline.bulk import encode_output
from ragline.pipeline.bulk.encode_output import LOG_FILE, REJECTED_FILE, SUMMARY_FILE, Output, Work
from ragline.pipeline.cache import cache_key
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs import machine_errors, workdir
from ragline.pipeline.runs.machine_errors import TroubleError

_DIGEST = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be encoded, and by what.

    Attributes:
      input: how raw files are read; its `train` names them.
      max_share: share of the records that may be rejected.
      beam: where the job runs.
      columns: what raw files must hold: features and categories.
      facts: of the encoder.
    """

    input: InputOptions
    max_share: float
    beam: BeamOptions
    columns: Columns
    facts: Facts


def request(
    source: str, pattern: str, overrides: Sequence[str] = (), folder: str | None = None
) -> Request:
    """Reads what a command or a call asks for.

    Args:
      source: a configuration, whose newest sound encoder is taken, or the folder of an encoder,
        which may be a URI.
      pattern: of the raw files.
      overrides: `key=value` each; with an encoder, of `input`, `quarantine` and `beam` alone.
      folder: in place of the configuration's `workdir`.

    Raises:
      ConfigError: one line a mistake.
      NoEncoderError: the folder holds none.
      DamagedModelError: a file of the encoder is not what was pushed.
      LedgerError: what was pushed cannot be told.
    """
    if not places.is_local(source) or pathlib.Path(source).is_dir():
        if folder is not None:
            raise ConfigError("--workdir: expected it with a configuration, not an encoder")
        if places.is_pattern(source):
            raise ConfigError(f"encoder: expected a URI without * ? [ ], received {source}")
        facts = Facts.read(source)
        versions.check(facts.path)  # Of a configuration's encoder, the ledger says it.
        reading = configuration.load_reading(pattern, overrides)
        columns = facts.columns
    else:
        config = configuration.load(source, overrides, folder)
        facts = Facts.read(_newest(config))
        columns = Columns.from_schema(schemas.load(config.schema))
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
    )


def _newest(config: Config) -> pathlib.Path:
    serving = pathlib.Path(config.workdir, workdir.SERVING)
    version = ledger.newest(serving)
    if version is None:
        raise ConfigError(f"{serving}: expected an encoder that `ragline run` pushed, found none")
    return version.path


def _check_same(columns: Columns, facts: Facts) -> None:
    expected = [*facts.columns.names, *(one.name for one in facts.columns.categories)]
    received = [*columns.names, *(one.name for one in columns.categories)]
    if expected != received:
        raise ConfigError(
            f"schema: expected the columns that {facts.path} was trained on, "
            f"{', '.join(expected)}, received {', '.join(received)}"
        )


def _other_files(options: InputOptions, pattern: str) -> InputOptions:
    """A configuration's options, of other files, which are not split."""
    spans = options.spans if "{SPAN" in pattern or "{YYYY}" in pattern else 1
    # An entity splits, and here nothing is split.
    unnamed = options.entity in options.fields and options.entity not in fields(pattern)
    try:
        return dataclasses.replace(
            options,
            train=configuration.absolute(pattern),
            eval=None,
            eval_from=None,
            spans=spans,
            entity=SEQUENCE if unnamed else options.entity,
        )
    except ValueError as error:
        raise ConfigError(f"--input: {error}") from error


def encode(asked: Request, output: Place) -> dict[str, Any]:
    """Encodes raw files; a job that is done already is not done again.

    Args:
      asked: what, and by what.
      output: a folder, or its URI in a store, that does not exist, is empty, or holds an earlier
        result, which is replaced.

    Returns:
      What `_summary.json` holds: `read`, `encoded` and `quarantined` records, `reasons` {code: n},
      `policies` as of ingest's account, `sequences`, `steps`, `parts` [{name, rows, bytes}],
      `model` {path, version, embedding_size}, `formats`; and `digest`, of all that it depends on.

    Raises:
      BadDataError: the input as a whole cannot be used; `output` is as it was.
      BusyError: another process encodes into `output`.
      ConfigError: `output` is no place for it.
      TroubleError: the machine stopped it; called again, it goes on where it was.
    """
    from ragline.components.ingest.source import read_plan

    place = encode_output.of(output)
    place.check()
    watched = read_plan.watch(asked.input)
    digest = _digest(asked)
    if (done := _done(place.folder, digest)) is not None:
        return done
    # What was cut off is gone on with only if no file was touched since, be it to write it back.
    with place.work(digest_of([digest, repr(sorted(watched.stamps.items()))])) as work:
        with workdir.quiet(work.log) as shown:
            started = time.monotonic()
            shown.start(1, 1, "encode")
            try:
                with progress.told_to(shown):
                    found = {**redacted_data(_run(asked, work, place)), _DIGEST: digest}
                watched.check(found["formats"])
                write_json(f"{work.folder}/{SUMMARY_FILE}", found)
                shown.end("ran", time.monotonic() - started)
            except Exception as error:
                if isinstance(error, BadDataError):
                    raise
                logging.getLogger(__name__).exception("encode failed")
                told = machine_errors.sentence(error, work.log.parent)
                raise TroubleError(
                    told or f"failed: {error}; see {work.folder}/{LOG_FILE}"
                ) from error
        place.publish(work)
    return found


def _digest(asked: Request) -> str:
    from ragline.components.ingest.source import read_plan

    facts, options = asked.facts, dataclasses.asdict(asked.input)
    model = manifest(facts.path)
    return digest_of(
        [
            read_plan.fingerprint(asked.input),
            json.dumps(options, sort_keys=True),
            repr(asked.columns),
            facts.version,
            *(f"{name} {model[name]['sha256']}" for name in sorted(model)),
            cache_key.source(),
        ]
    )


def _done(folder: str, digest: str) -> dict[str, Any] | None:
    """An earlier result of the very same job, whole."""
    try:
        found: dict[str, Any] = read_json(f"{folder}/{SUMMARY_FILE}")
        sizes = [places.size(f"{folder}/{part['name']}") for part in found["parts"]]
        same = found[_DIGEST] == digest and sizes == [part["bytes"] for part in found["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if same else None


def _run(asked: Request, work: Work, place: Output) -> dict[str, Any]:
    # Late: Beam, and what ingest needs, take seconds.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from ragline.components.ingest.beam import process, spill
    from ragline.components.ingest.output import ingest_report
    from ragline.components.ingest.source import read_plan, units
    from ragline.pipeline.bulk import encode_job

    job = process.Job(
        columns=asked.columns, options=asked.input, files=(), folders={}, staging=work.staging
    )
    planned = read_plan.make(asked.input, job.raw_columns, units.UNIT_BYTES)
    job = dataclasses.replace(job, files=planned.files)
    grouped = bool(asked.input.group_by)
    units_of = [unit.index for unit in planned.units]
    place.expect(os.path.basename(encode_job.part_file(work.folder, unit)) for unit in units_of)
    progress.expect(sum(piece.size for unit in planned.units for piece in unit.pieces), "B")
    encode_job.run(
        beam.Pipeline(options=PipelineOptions(asked.beam.arguments)),
        planned.units,
        job,
        shards=spill.shard_count(planned.units, units.UNIT_BYTES) if grouped else None,
        facts=asked.facts,
        folder=work.folder,
    )
    reports = ingest_report.reports(work.staging, planned.units, grouped=grouped)
    rejected = [process.quarantine_file(work.staging, report["unit"]) for report in reports]
    quarantine = f"{work.folder}/{REJECTED_FILE}"
    reasons = ingest_report.gather_quarantine(rejected, quarantine)
    found = settle(reports, reasons) | {"examples": ingest_report.examples_of(reports, reasons)}
    ingest_report.check_rejected(
        found,
        options=asked.input,
        max_share=asked.max_share,
        quarantine=quarantine,
    )
    paths = (encode_job.part_file(work.folder, report["unit"]) for report in reports)
    rows = [report["rows_written"] for report in reports]
    return found | {
        "parts": [
            {"name": os.path.basename(path), "rows": count, "bytes": places.size(path)}
            for path, count in zip(paths, rows, strict=True)
            if count
        ],
        "model": {
            "path": asked.facts.path,
            "version": asked.facts.version,
            "embedding_size": asked.facts.embedding_size,
        },
        "formats": planned.formats,
    }


def settle(reports: Iterable[Mapping[str, Any]], reasons: dict[str, int]) -> dict[str, Any]:
    """Adds the units' reports up.

    Args:
      reports: of all units.
      reasons: code -> how many records stand in the quarantine for it.

    Returns:
      read, encoded, quarantined (records), reasons, policies, sequences, steps.

    Raises:
      RuntimeError: a record or a sequence was lost.
    """
    total: Counter[str] = Counter()
    policies: Counter[str] = Counter()
    for report in reports:
        counted = ("read", "accepted", "sequences", "steps", "rows_written")
        total.update({key: report[key] for key in counted})
        policies.update(report["policies"])
    rejected = sum(reasons.values())
    if total["accepted"] + rejected != total["read"]:
        raise RuntimeError(
            f"encode lost records: read {total['read']}, but {total['accepted']} were encoded and "
            f"{rejected} quarantined"
        )
    if total["rows_written"] != total["sequences"]:
        raise RuntimeError(
            f"encode lost sequences: encoded {total['sequences']}, but {total['rows_written']} "
            "stand in the parts"
        )
    return {
        "read": total["read"],
        "encoded": total["accepted"],
        "quarantined": rejected,
        "reasons": reasons,
        "policies": dict(sorted(policies.items())),
        "sequences": total["sequences"],
        "steps": total["steps"],
    }
