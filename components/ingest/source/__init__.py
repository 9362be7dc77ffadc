"""Find the raw files of a run and cut them into units of work.

patterns.py    patterns -> paths, spans
beginnings.py  the format of a file by its name and first bytes, and what no format reads
raw_files.py   files as streams of bytes: opened, decompressed, cut between lines
framing.py     the framing of TFRecord files, checked before TensorFlow sees a byte
read_plan.py   patterns -> files with their formats -> pieces -> units
units.py       pieces of files assigned to units of about the same size
"""
