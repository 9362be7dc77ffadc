"""Draw a sample of each split for a training, into a file that every epoch reads in its place.

A split may be more than fits on this machine, and stand in a store of objects: it is streamed
twice, to count its steps and to copy the records that are kept. In memory are some batches
of records; on this machine's disk, the sample.
"""

import contextlib
import dataclasses
import math
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Collection
from typing import Any

import tensorflow as tf

from ragline.components.contract import sampling
from ragline.components.contract.columns import ENTITY_ID, LENGTH
from ragline.components.contract.sampling import SplitSample
from ragline.components.files import places, shards
from ragline.components.train.data.input_pipeline import one_pass

_BATCH = 256
_SPEC = {
    LENGTH: tf.io.FixedLenFeature([], tf.int64),
    ENTITY_ID: tf.io.FixedLenFeature([], tf.string),
}


@contextlib.contextmanager
def sampled(job: Mapping[str, Any], folder: str) -> Iterator[dict[str, Any]]:
    """Yield a job whose files are the samples of its splits, which are removed afterwards.

    Args:
      job: see `records.training_job`; `sample_steps` of its options says how many steps are wanted.
      folder: folder to write into; if it is in a store, the samples are in a temporary one.

    Yields:
      The job, with `samples`, split -> its `SplitSample` as a dictionary, without a split that is
      read whole.
    """
    wanted: int = job["config"]["options"]["sample_steps"]
    files, samples = dict(job["files"]), {}
    with contextlib.ExitStack() as stack:
        if wanted:
            beside = folder if places.is_local(folder) else None
            scratch = tempfile.TemporaryDirectory(prefix="sample-", dir=beside)
            scratch_folder = pathlib.Path(stack.enter_context(scratch))
            for split, patterns in job["files"].items():
                file = scratch_folder / f"{split}.gz"
                if sample := draw(shards.matching(patterns), wanted, file):
                    files[split], samples[split] = [str(file)], dataclasses.asdict(sample)
        yield {**job, "files": files, "samples": samples}


def samples_of(job: Mapping[str, Any]) -> dict[str, SplitSample]:
    """Return the samples of a job that `sampled` yielded."""
    return {split: SplitSample(**sample) for split, sample in job["samples"].items()}


def draw(files: Collection[str], wanted: int, sample_file: pathlib.Path) -> SplitSample | None:
    """Copy the records of a sample into a file; None if the split has no more steps than wanted.

    Args:
      files: gzipped TFRecord shards of transformed records.
      wanted: number of steps to keep, in expectation.
      sample_file: file of the sample, which is written only if there is one.
    """
    of_steps = of_sequences = 0
    lowest = math.inf
    for _, parsed in _batches(files):
        of_steps += int(parsed[LENGTH].numpy().sum())
        of_sequences += len(parsed[LENGTH])
        lowest = min(lowest, *map(sampling.rank, {*parsed[ENTITY_ID].numpy()}))
    if of_steps <= wanted:
        return None
    highest = sampling.highest_rank(wanted, of_steps, lowest)
    steps = sequences = 0
    # Written once, read in every epoch: little compression takes a third of the time.
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
    with tf.io.TFRecordWriter(str(sample_file), options) as writer:
        for records, parsed in _batches(files):
            entities, lengths = parsed[ENTITY_ID].numpy(), parsed[LENGTH].numpy()
            kept = {entity for entity in {*entities} if sampling.rank(entity) <= highest}
            for record, entity, length in zip(records.numpy(), entities, lengths, strict=True):
                if entity in kept:
                    writer.write(record)
                    steps, sequences = steps + int(length), sequences + 1
    return SplitSample(
        highest_rank=highest,
        steps=steps,
        of_steps=of_steps,
        sequences=sequences,
        of_sequences=of_sequences,
    )


def _batches(files: Collection[str]) -> Iterator[tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Yield serialised records, and their lengths and entities, some shards at a time."""
    batches = shards.read_at_once(files, _BATCH)
    return one_pass(batches.map(lambda r: (r, tf.io.parse_example(r, _SPEC))).prefetch(1))
