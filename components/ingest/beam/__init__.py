"""Run units of work under Beam, and group the rows of long tables.

process.py      a unit of work: parts of files in; shards, quarantine and report out
grouping.py     rows of long tables -> Chunks
packed_rows.py  rows on their way to the worker that groups them
spill.py        the same by files, for the engine in this process
transforms.py   the Beam transforms of ingest
"""
