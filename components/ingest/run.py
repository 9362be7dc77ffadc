"""Run ingest from end to end: options in; shards, a quarantine and the ingest report out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apache_beam as beam

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import remove_unfinished
from ragline.components.ingest.beam import packed_rows, process, spill
from ragline.components.ingest.beam.process import IngestContext
from ragline.components.ingest.beam.transforms import IngestSequences
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.ingest.output import ingest_report, sources, span_stats
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
    source_file: Place,
    staging: Place,
) -> dict[str, Any]:
    """Run ingest as one Beam job, then add up what it wrote.

    Args:
      pipeline: an empty pipeline, on the runner that is wanted.
      options: the options of the input.
      quarantine_options: the options of the quarantine.
      columns: the columns of the schema.
      folders: split -> the folder of its shards.
      quarantine: the file for the rejected records, which is made if there are any.
      source_file: the file that says where each sequence came from; see `sources`.
      staging: a folder for what is not yet the run's output; gone afterwards.

    Returns:
      The ingest report, see `ingest_report.reconcile`, with `rejected`, some lines of the
      quarantine, `formats` {format: number of files}, `spans` {span, oldest first: its
      SpanStats}, and `missing_spans` between those.

    Raises:
      BadDataError: the input as a whole cannot be used; `empty_span`, one of its spans is.
    """
    for folder in (staging, *folders.values()):
        places.make_folder(folder)
    context = IngestContext(
        columns=columns, options=options, files=(), folders=dict(folders), staging=staging
    )
    plan = read_plan.make(options, context.raw_columns, units.UNIT_BYTES)
    newest = plan.spans[-1] if plan.spans else None
    context = dataclasses.replace(context, files=plan.files, evaluated_span=newest)
    grouped = bool(options.group_by)
    shards = packed_rows.shard_count(plan.units, units.UNIT_BYTES) if grouped else None
    # Of a long table, what is counted is its reading; the grouping after it takes as long again.
    progress.expect(sum(p.size for unit in plan.units for p in unit.pieces), "B")
    with spill.folder(staging) as spills:
        (
            pipeline
            | "Units" >> beam.Create([(unit.index, unit) for unit in plan.units])
            | IngestSequences(context, shards, spills)
        )
        pipeline.run().wait_until_finish()
    for folder in folders.values():
        remove_unfinished(folder)

    unit_reports = ingest_report.reports(staging, plan.units, grouped=grouped)
    parts = [process.quarantine_file(staging, unit["unit"]) for unit in unit_reports]
    reasons, sample = ingest_report.gather_quarantine(parts, quarantine)
    report = ingest_report.reconcile(unit_reports, reasons, columns)
    ingest_report.check(
        report, options=options, max_share=quarantine_options.max_share, quarantine=quarantine
    )
    sources.gather(
        [process.source_file(staging, unit["unit"]) for unit in unit_reports], source_file
    )
    places.remove_folder(staging)
    spans = span_stats.by_span((unit["span_stats"] for unit in unit_reports), plan.spans)
    if empty := [span for span in plan.spans if span not in spans]:
        raise BadDataError(
            "empty_span", f"expected a sequence of each span, received none of {', '.join(empty)}"
        )
    return report | {
        "rejected": sample,
        "formats": plan.formats,
        "spans": spans,
        "missing_spans": list(plan.missing),
    }
