"""Write sequences as shards of Examples, and report on every record.

examples.py       Chunk -> serialised tf.train.Examples
shards.py         gzipped TFRecord files that are whole under their names
sinks.py          where the sequences of a unit go
sources.py        the file and the line that each sequence came from
statistics.py     range and number of each feature's values
span_stats.py     count, mean and spread of each feature, span by span
ingest_report.py  what the units report must add up to what was read
"""
