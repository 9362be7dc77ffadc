"""Stage 1: raw files -> gzipped TFRecords of raw Examples, and an account of every record.

What is read:

options.py     what may be configured
plan.py        the files of a run, their formats, and how they are dealt into units of work
preview.py     a sample of them, for `ragline plan`; findings.py, what it holds
patterns.py    patterns -> paths, spans
files.py       opening, decompressing, cutting between lines
framing.py     the framing of TFRecord files
readers/       a module a format; all yield Chunks, or Rows where a row is a step
chunk.py       many sequences as columns, and the records that could not be read
checks.py      what any record must be, and the codes of those that are rejected
times.py       times of steps -> int64 nanoseconds

What becomes of it:

grouping.py    Rows -> Chunks
policies.py    order of steps, sessions, windows, lengths; with ordering.py, cuts.py, refusals.py
splits.py      entity or time -> train or eval
examples.py    Chunk -> serialised tf.train.Examples
shards.py      gzipped TFRecord files, written and read back
statistics.py  range and number of each feature's values
duplicates.py  ids that stand twice, entities in both splits

How it is run:

process.py     a unit of work, from parts of files to sequences, quarantine and report
sinks.py       where the sequences go: into shards
spill.py       rows on their way to the worker that groups them
transforms.py  the Beam part
account.py     adds the reports up; accepted + quarantined = read
component.py   the TFX component; executor.py, what it runs
"""
