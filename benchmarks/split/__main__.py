"""What reading a split takes, as it grows: the table on samples in docs/scale.md.

    python -m benchmarks.split WORKDIR [--sizes 10000,100000] [--steps 200000]

The records are those of a finished run, over and over under other ids. Each row is a process of its
own; its memory is what it holds at most beyond what it held before it began.

    sample      a sample of so many steps is drawn of transformed records, into a file
    baselines   the model's sums of errors over raw records, by slice, a part of the split at a time
    at once     the same of all records in one part
"""

import argparse
import itertools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

SIDES = ("sample", "baselines", "at once")


def main() -> None:
    """Print the table, or one side's row as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdir", type=pathlib.Path)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    command = [sys.executable, "-m", "benchmarks.split", str(options.workdir)]
    command += ["--steps", str(options.steps), "--side"]
    if options.side:
        side, folder = options.side
        print(json.dumps(_measured(side, pathlib.Path(folder), options.workdir, options.steps)))
        return
    print("| reading | sequences | steps | CPU s | MB |\n| --- | ---: | ---: | ---: | ---: |")
    for sequences in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("transform", "ingest"):
                _copy(options.workdir, kind, pathlib.Path(folder, kind), sequences)
            for side in SIDES:
                done = subprocess.run(
                    [*command, side, folder], check=True, stdout=subprocess.PIPE, text=True
                )
                row = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"| {side} | {sequences:,} | {row['steps']:,} | {row['seconds']:.1f} "
                    f"| {row['bytes'] / 1e6:.0f} |",
                    flush=True,
                )


def _copy(workdir: pathlib.Path, kind: str, folder: pathlib.Path, sequences: int) -> None:
    """Write so many records of a run's training split, in eight shards."""
    import tensorflow as tf

    folder.mkdir()
    names = {"ingest": "examples", "transform": "transformed_examples"}
    files = sorted((workdir / "artifacts" / kind / names[kind]).glob("*/Split-train/*.gz"))
    records = [*tf.data.TFRecordDataset([*map(str, files)], "GZIP").as_numpy_iterator()]
    examples = [tf.train.Example.FromString(record) for record in records]
    writers = [tf.io.TFRecordWriter(str(folder / f"{shard}.gz"), "GZIP") for shard in range(8)]
    for number, example in zip(range(sequences), itertools.cycle(examples), strict=False):
        for key in ("sequence_id", "entity_id"):
            example.features.feature[key].bytes_list.value[:] = [f"{key} {number}".encode()]
        writers[number % 8].write(example.SerializeToString())
    for writer in writers:
        writer.close()


def _measured(side: str, folder: pathlib.Path, workdir: pathlib.Path, steps: int) -> dict:
    """Read a split; return its steps, CPU seconds and bytes."""
    from ragline.components.evaluate.baselines import baseline_scores, raw_records
    from ragline.components.evaluate.baselines.served_model import ServedModel
    from ragline.components.train.data import split_samples

    counted = 0
    model = ServedModel(max((workdir / "serving").glob("[0-9]*")))
    # What TensorFlow takes for the first batch is no matter of the split's size.
    [first] = itertools.islice(raw_records.parts(str(folder / "ingest"), (), None, 2**20), 1)
    model.sums(first)
    most = {"baselines": raw_records.PART_BYTES, "at once": 2**62}

    def parts() -> Iterator[raw_records.RawRecords]:
        nonlocal counted
        for part in raw_records.parts(str(folder / "ingest"), ("length_bucket",), None, most[side]):
            counted += int(part.lengths.sum())
            yield part

    before, started = _peak(), time.process_time()
    if side == "sample":
        files = sorted(map(str, (folder / "transform").iterdir()))
        drawn = split_samples.draw(files, steps, folder / "sample.gz")
        counted = drawn.of_steps if drawn else 0
    else:
        baseline_scores.totals_by_slice(parts(), model.sums, ["model"])
    seconds = time.process_time() - started
    return {"steps": counted, "seconds": seconds, "bytes": _peak() - before}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
