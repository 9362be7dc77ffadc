"""Guess parts of what columns mean: `ragline.pipeline.onboard.guess` puts them together.

meaning.py  what is known so far
wishes.py   what a person says of columns
placing.py  what a column is that names nothing
cells.py    a column as it was read: its kind, its cells, and what spells them
numbers.py  texts of numbers: the decimal mark, what stands for a missing value
dates.py    texts of times: their format
names.py    what the names of columns say
groups.py   which columns name a row's sequence, and what changes within it
clocks.py   which column orders the steps, its unit or format, the column of its day
scales.py   which numbers a few giants would be all that is learnt of
measurements.py  tables in which a row is one measurement
files.py    what the names of files say
"""
