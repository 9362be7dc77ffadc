"""Parse cells, objects, arrays and messages for several formats.

arrays.py          the arrays of a NumPy archive, a range at a time, never unpickled
cells.py           Arrow columns -> NumPy columns, and the faults of their records
columnar.py        records whose steps lie in flat columns -> a Part
csv_lines.py       lines of a CSV file -> columns of text, by RFC 4180
events.py          decoded objects, each a step -> Rows
faults.py          the faults of records, column by column
objects.py         decoded objects, each a sequence -> Records
padded.py          padded arrays of a NumPy archive
parquet_schema.py  what the columns of a Parquet file mean
protos.py          many tf.Examples or SequenceExamples at once
table.py           which column means what; rows of cells -> Rows
texts.py           columns of text -> numbers and times, by strict grammars
"""
