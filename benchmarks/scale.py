"""What a night costs at 10^6, 10^8 and 10^10 steps a day: the tables of docs/scale.md.

    python -m benchmarks.scale                       the tables, from MEASURED
    python -m benchmarks.scale --measure 2000 20000  MEASURED anew: some ten minutes

Measuring, each size is a run of the whole pipeline on the demo's data, in a process of its own, and
an encode of them. Two sizes tell what is fixed from what each step costs. It is the CPU's time that
is counted, of all processes: it depends little on what else the machine does.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping

ROOT = pathlib.Path(__file__).resolve().parent.parent
DAYS = (10**6, 10**8, 10**10)  # steps a day


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a stage.

    Attributes:
      fixed: CPU seconds of a run without data, imports among them.
      step: CPU microseconds a step that it reads; of `train`, a step and epoch.
      bytes: that it keeps, a step.
      source: where that was measured.
    """

    fixed: float
    step: float
    bytes: float
    source: str


MEASURED = {
    "ingest": Cost(fixed=0.3, step=1.203, bytes=43.4, source="benchmarks.ingest, Parquet, 10^6"),
    "statistics": Cost(
        fixed=13.0, step=0.84, bytes=0.0, source="benchmarks.growth, 2 workers, 10^6"
    ),
    "transform": Cost(
        fixed=27.0, step=2.56, bytes=44.9, source="benchmarks.growth, 2 workers, 10^6"
    ),
    "sample": Cost(fixed=0.0, step=0.37, bytes=0.0, source="benchmarks.split"),
    "train": Cost(fixed=0.0, step=6.02, bytes=0.0, source="docs/performance.md, H = 64"),
    "evaluate": Cost(fixed=5.2, step=3.51, bytes=0.0, source="10 s of 20,000, 5.4 s of 1,000"),
    "encode": Cost(fixed=12.0, step=6.79, bytes=2.4, source="docs/serving.md, sorted"),
}
RAW_BYTES = 28.6  # a step: Parquet, 12 features
HASHED_A_SECOND = 1.77e9  # bytes, by SHA-256

# How much of the data each stage reads: of the window of the newest spans, or of the newest alone;
# the training, of a sample of the window.
WINDOW_SPANS = 7
EVAL_SHARE = 0.2
EPOCHS = 10
SAMPLE_STEPS = 10**8
READS = {
    "ingest": WINDOW_SPANS,
    "statistics": WINDOW_SPANS,
    "transform": WINDOW_SPANS,
    "sample": WINDOW_SPANS,
    "train": WINDOW_SPANS * EPOCHS,
    "baselines": EVAL_SHARE,
    "evaluate": EVAL_SHARE,
    "push": EVAL_SHARE,
    "encode": 1.0,
}
ON_BEAM = ("ingest", "statistics", "transform", "evaluate", "encode")
# A Beam part is to be done in so long; a virtual core with 4 GB costs so much, and storage.
PART_SECONDS = 3600
DOLLARS_A_CORE_HOUR = 0.05
DOLLARS_A_GB_MONTH = 0.02
STEPS_A_SEQUENCE = 70


def core_seconds(stage: str, steps: int) -> float:
    """CPU seconds of a stage in one night, with so many steps a day."""
    cost = MEASURED[stage]
    return cost.fixed + cost.step * 1e-6 * steps_read(stage, steps)


def steps_read(stage: str, steps: int) -> float:
    """Steps that a stage reads in one night, with so many steps a day."""
    if stage == "train":
        return EPOCHS * min(SAMPLE_STEPS, WINDOW_SPANS * steps)
    if stage == "sample" and WINDOW_SPANS * steps <= SAMPLE_STEPS:
        return 0.0
    return READS[stage] * steps


def gigabytes(stage: str, steps: int) -> float:
    """What a night leaves on the disk: of a stage, once for every step that it reads."""
    reads = min(READS[stage], WINDOW_SPANS)
    return MEASURED[stage].bytes * reads * steps / 1e9


def tables() -> Iterator[str]:
    """The tables of the page, in order."""
    yield _table(
        ("stage", "fixed, CPU s", "CPU us a step", "bytes a step", "reads, of a day's", "source"),
        (
            (
                stage,
                f"{cost.fixed:.1f}",
                f"{cost.step:.2f}",
                f"{cost.bytes:.1f}",
                f"{EPOCHS} x the sample" if stage == "train" else f"{READS[stage]:g}",
                cost.source,
            )
            for stage, cost in MEASURED.items()
        ),
    )
    yield _table(
        ("core-hours a night", *map(_power, DAYS)),
        ((stage, *(_hours(core_seconds(stage, steps)) for steps in DAYS)) for stage in MEASURED),
    )
    yield _table(
        ("a night", *map(_power, DAYS)),
        (
            ("sequences of 70 steps", *(f"{steps / STEPS_A_SEQUENCE:,.0f}" for steps in DAYS)),
            ("cores for a Beam part an hour", *(f"{_cores(steps):,}" for steps in DAYS)),
            ("training, hours on one core", *(_hours(core_seconds("train", s)) for s in DAYS)),
            ("the sample, hours on one core", *(_hours(core_seconds("sample", s)) for s in DAYS)),
            ("hashing, hours on one core", *(_hours(_hashing(steps)) for steps in DAYS)),
            ("raw files, GB", *(f"{RAW_BYTES * steps / 1e9:,.1f}" for steps in DAYS)),
            ("kept by the run, GB", *(f"{_kept(steps):,.1f}" for steps in DAYS)),
            ("embeddings, GB", *(f"{gigabytes('encode', steps):,.2f}" for steps in DAYS)),
            ("computing, dollars", *(f"{_dollars(steps):,.2f}" for steps in DAYS)),
            ("keeping it, dollars a month", *(f"{_keeping(steps):,.2f}" for steps in DAYS)),
        ),
    )


def _cores(steps: int) -> int:
    return max(math.ceil(core_seconds(stage, steps) / PART_SECONDS) for stage in ON_BEAM)


def _hashing(steps: int) -> float:
    """CPU seconds: raw files twice, to know the span and to name the input; artifacts once."""
    return (2 * RAW_BYTES * WINDOW_SPANS * steps + 1e9 * _kept(steps)) / HASHED_A_SECOND


def _kept(steps: int) -> float:
    return sum(gigabytes(stage, steps) for stage in MEASURED if stage != "encode")


def _dollars(steps: int) -> float:
    hours = sum(core_seconds(stage, steps) for stage in MEASURED) / 3600
    return hours * DOLLARS_A_CORE_HOUR


def _keeping(steps: int) -> float:
    return (_kept(steps) + gigabytes("encode", steps)) * DOLLARS_A_GB_MONTH


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.2f}" if hours < 10 else f"{hours:,.0f}"


def _power(steps: int) -> str:
    return f"10^{round(math.log10(steps))} steps a day"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    line = ("---", *["---:"] * (len(header) - 1))
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, line, *rows))


# Measuring.


@dataclasses.dataclass(slots=True)
class Sample:
    """One size: steps and bytes of the raw files; of each stage CPU seconds and bytes kept."""

    steps: int
    raw: int
    seconds: dict[str, float]
    bytes: dict[str, int]


def measure(small: int, large: int) -> tuple[dict[str, Cost], float]:
    """The costs, from two sizes, and the bytes of a step in the raw files."""
    smaller, larger = (_sampled(size) for size in (small, large))
    costs = {}
    for stage in smaller.seconds:
        share = EVAL_SHARE if READS[stage] == EVAL_SHARE else 1.0
        steps = [share * sample.steps for sample in (smaller, larger)]
        slope = (larger.seconds[stage] - smaller.seconds[stage]) / (steps[1] - steps[0])
        costs[stage] = Cost(
            fixed=round(max(0.0, smaller.seconds[stage] - slope * steps[0]), 1),
            step=round(max(0.0, slope) * 1e6, 3),
            bytes=round((larger.bytes[stage] - smaller.bytes[stage]) / (steps[1] - steps[0]), 2),
            source=f"runs of {small:,} and {large:,}",
        )
    return costs, larger.raw / larger.steps


def _sampled(sequences: int) -> Sample:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "--sample", str(sequences)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Sample(**json.loads(done.stdout.splitlines()[-1]))


def sample(sequences: int, folder: pathlib.Path) -> Sample:
    """Runs all stages on so many sequences of the demo's, with one epoch, and encodes them."""
    import ragline
    from ragline.components.files.storage import manifest
    from ragline.pipeline import config as configuration
    from ragline.pipeline.cache import artifact_manifests, cache_guard, cache_key, lineage
    from ragline.pipeline.demo import synth
    from ragline.pipeline.runs import preflight, runner, tfx_run, workdir

    data = synth.write(output=folder / "data", sequences=sequences)
    overrides = (f"input.train={folder}/data/*.jsonl", "train.epochs=1")
    config = configuration.load(ROOT / "examples/gestures.toml", overrides, str(folder / "run"))
    seconds: dict[str, float] = {}
    spent = [_cpu()]

    def ended(stage: str) -> None:
        spent.append(_cpu())
        seconds[stage] = spent[-1] - spent[-2]

    with workdir.opened(config) as session:
        database = session.workdir / preflight.DATABASE
        compiled = tfx_run.compile_pipeline(
            runner.pipeline_of(
                config, configuration.read_contract(config), session.workdir, "a benchmark"
            ),
            session.run_id,
            cache_key.versions(),
        )
        guard = cache_guard.CacheGuard(
            database,
            artifact_manifests.ArtifactManifests(session.workdir),
            config.name,
            session.run_id,
        )
        tfx_run.run(compiled, guard, on_start=lambda *_: None, on_end=ended)
        stages = lineage.stages(database, config.name, session.run_id)
    sizes = {
        name: _bytes(manifest(uri) for uri in stages[name].outputs.values()) for name in stages
    }
    spent.append(_cpu())
    encoder = folder / "run" / workdir.SERVING
    ragline.encode(encoder, input=f"{folder}/data/*.jsonl", output=folder / "encoded")
    ended("encode")
    sizes["encode"] = _bytes([manifest(folder / "encoded")])
    kept = [stage for stage in READS if stage in seconds]
    return Sample(
        steps=data.steps,
        raw=sum(path.stat().st_size for path in data.paths),
        seconds={stage: seconds[stage] for stage in kept},
        bytes={stage: sizes[stage] for stage in kept},
    )


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _bytes(manifests: Iterable[Mapping[str, Mapping[str, int]]]) -> int:
    return sum(file["bytes"] for manifest in manifests for file in manifest.values())


def main() -> None:
    """Prints tables, or what they are made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=2, type=int, metavar=("SMALL", "LARGE"))
    parser.add_argument("--sample", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sample:
        with tempfile.TemporaryDirectory() as folder:
            sampled = sample(options.sample, pathlib.Path(folder))
        print(json.dumps(dataclasses.asdict(sampled)))
    elif options.measure:
        started = time.monotonic()
        costs, raw = measure(*options.measure)
        for stage, cost in costs.items():
            print(f"    {stage!r}: {cost!r},")
        print(f"{raw:.1f} bytes a step; in {time.monotonic() - started:.0f} s")
    else:
        print(*tables(), sep="\n\n")


if __name__ == "__main__":
    main()
