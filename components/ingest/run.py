"""Ingest from end to end: a configuration in, shards, a quarantine and an account out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apache_beam as beam

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.ingest.beam import process, spill
from ragline.components.ingest.beam.process import Job
from ragline.components.ingest.beam.transforms import IngestSequences
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.ingest.output import ingest_report, span_stats
from ragline.components.ingest.source import read_plan, units
from ragline.components.runtime import progress


def run(
    pipeline: beam.Pipeline,
    *,
    options: InputOptions,
    quarantine_options: QuarantineOptions,
    columns: Columns,
    folders: Mapping[str, Place],
    quarantine: Place,
    staging: Place,
) -> dict[str, Any]:
    """Runs ingest as one Beam job, then adds up what it wrote.

    Args:
      pipeline: empty, on the runner that is wanted.
      options: of the input.
      quarantine_options: of the quarantine.
      columns: what the schema says.
      folders: split -> where its shards go.
      quarantine: the file for the rejected records, which is made if there are any.
      staging: a folder for what is not yet the run's output; gone afterwards.

    Returns:
      The account, as `account.settle` says, with `formats` of the files, `spans`
      {span, oldest first: its moments, as `moments` says}, and `missing_spans` between those.

    Raises:
      BadDataError: the input as a whole cannot be used; `empty_span`, one of its spans is.
    """
    for folder in (staging, *folders.values()):
        places.make_folder(folder)
    job = Job(columns=columns, options=options, files=(), folders=dict(folders), staging=staging)
    planned = read_plan.make(options, job.raw_columns, units.UNIT_BYTES)
    newest = planned.spans[-1] if planned.spans else None
    job = dataclasses.replace(job, files=planned.files, evaluated_span=newest)
    grouped = bool(options.group_by)
    shards = spill.shard_count(planned.units, units.UNIT_BYTES) if grouped else None
    # Of a long table, what is counted is its reading; the grouping after it takes as long again.
    progress.expect(sum(p.size for unit in planned.units for p in unit.pieces), "B")
    (
        pipeline
        | "Units" >> beam.Create([(unit.index, unit) for unit in planned.units])
        | IngestSequences(job, shards)
    )
    pipeline.run().wait_until_finish()

    reports = ingest_report.reports(staging, planned.units, grouped=grouped)
    parts = [process.quarantine_file(staging, report["unit"]) for report in reports]
    found = ingest_report.settle(
        reports, ingest_report.gather_quarantine(parts, quarantine), columns
    )
    ingest_report.check(
        found,
        options=options,
        max_share=quarantine_options.max_share,
        quarantine=quarantine,
    )
    places.remove_folder(staging)
    of_spans = span_stats.by_span((report["moments"] for report in reports), planned.spans)
    if empty := [span for span in planned.spans if span not in of_spans]:
        raise BadDataError(
            "empty_span", f"expected a sequence of each span, received none of {', '.join(empty)}"
        )
    return found | {
        "formats": planned.formats,
        "spans": of_spans,
        "missing_spans": list(planned.missing),
    }
