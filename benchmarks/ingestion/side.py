"""One side of the comparison, in a process of its own: told a file, it answers what that took.

    python -m benchmarks.ingestion.side SIDE FORMAT

A line of standard input is the JSON of [source, target]; the answer is one line of JSON: `wall` and
`cpu`, seconds, and `bytes` of the shards. Side `data` writes the source instead, as many sequences
as its name says, and answers how many `values`. The start of this process and its imports are not
counted; those of Beam's workers, which start with each job, are.
"""

import json
import logging
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.ingestion import floor as plain_loop
from benchmarks.ingestion.data import BLOCK, FEATURES, TIME, WRITERS, lengths
from ragline.components.contract.columns import SEQUENCE_ID, SPLITS, Columns, Feature

_READ_AS = {"parquet-long": "parquet"}
_LONG: dict[str, Any] = {"group_by": (SEQUENCE_ID,), "order_by": TIME}
_TWO = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]

# (source, target) -> nothing.
Run = Callable[[pathlib.Path, pathlib.Path], None]


def ingest(format_name: str, options: list[str]) -> Run:
    """The component, without TFX around it."""
    from apache_beam import Pipeline
    from apache_beam.options.pipeline_options import PipelineOptions

    from ragline.components.ingest.options import InputOptions, QuarantineOptions
    from ragline.components.ingest.run import run
    from ragline.components.runtime.beam_options import BeamOptions

    columns = Columns(
        features=tuple(Feature(name=name, unit=None, allow_missing=False) for name in FEATURES),
        context={},
    )
    grouped = _LONG if format_name in ("csv", "parquet-long") else {}

    def once(source: pathlib.Path, target: pathlib.Path) -> None:
        report = run(
            Pipeline(options=PipelineOptions([*BeamOptions().arguments, *options])),
            options=InputOptions(
                train=str(source), format=_READ_AS.get(format_name, format_name), **grouped
            ),
            quarantine_options=QuarantineOptions(max_share=0.0),
            columns=columns,
            folders={split: target / split for split in SPLITS},
            quarantine=target / "rejected.jsonl",
            source_file=target / "sources.parquet",
            staging=target / "staging",
        )
        if report["quarantined"]:
            raise RuntimeError(f"clean records were rejected: {report['reasons']}")

    return once


def floor(format_name: str) -> Run:
    """The plain loop."""

    def once(source: pathlib.Path, target: pathlib.Path) -> None:
        target.mkdir()
        plain_loop.run(format_name, source, target / "all.tfrecord.gz")

    return once


def measured(run: Run, source: pathlib.Path, target: pathlib.Path) -> dict[str, float]:
    """Runs once."""
    wall, cpu = time.perf_counter(), _cpu()
    run(source, target)
    return {
        "wall": time.perf_counter() - wall,
        "cpu": _cpu() - cpu,
        "bytes": sum(path.stat().st_size for path in target.rglob("*.gz")),
    }


def _cpu() -> float:
    every = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in every)


def write(format_name: str, source: pathlib.Path) -> dict[str, float]:
    """Writes a source; how many values are in it."""
    sequences = int(source.stem)
    WRITERS[format_name](source, sequences)
    steps = sum(int(lengths(start, sequences).sum()) for start in range(0, sequences, BLOCK))
    return {"values": steps * len(FEATURES)}


def main(side: str, format_name: str) -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    logging.disable(logging.WARNING)
    if side in ("floor", "one"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs: dict[str, Callable[[], Run]] = {
        "floor": lambda: floor(format_name),
        "one": lambda: ingest(format_name, []),
        "two": lambda: ingest(format_name, _TWO),
    }
    run = runs[side]() if side in runs else None
    for line in sys.stdin:
        source, target = map(pathlib.Path, json.loads(line))
        answer = measured(run, source, target) if run else write(format_name, source)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
