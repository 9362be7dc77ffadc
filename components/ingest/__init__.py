"""Stage 1: raw files -> gzipped TFRecords of raw Examples, and an account of every record.

options.py     what may be configured
formats.py     which reader a file gets, and where a record stands in its file
jsonl.py       JSON Lines, one sequence a line
ts.py          the UEA/UCR archive's .ts
checks.py      raw columns -> Sequence, or a Reject with its code
examples.py    Sequence -> tf.train.Example of the raw record contract
splits.py      entity -> train or eval
transforms.py  the Beam part
account.py     reads back what was written; accepted + quarantined = read
component.py   the TFX component; executor.py, what it runs
"""
