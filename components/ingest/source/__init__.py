"""Find the raw files of a run and cut them into units of work.

patterns.py   patterns -> paths, spans
raw_files.py  files as streams of bytes: opened, decompressed, cut between lines
framing.py    the framing of TFRecord files, checked before TensorFlow sees a byte
read_plan.py  patterns -> files with their formats -> pieces -> units
units.py      pieces of files assigned to units of about the same size
"""
