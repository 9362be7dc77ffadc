"""Turn raw files into gzipped TFRecords and account for every record.

The packages stand in the order in which a record meets them:

source/        patterns -> files -> pieces -> units of work
formats/       a module a format; all yield Chunks, or Rows where a row is a step
records/       chunks of sequences: checks, refusals, duplicates, splits
steps/         times, order, windows and policies of the steps of a record
output/        sequences -> shards of Examples, statistics, the ingest report
beam/          a unit of work, grouping, and the Beam transforms around them
samples/       samples of raw files as columns, for `ragline init`
preview/       a sample of the input, for `ragline plan`
options.py     what may be configured of ingest
run.py         ingest from end to end
executor.py    what the TFX component runs
component.py   the TFX component
"""
