"""Hold many sequences as columns, and check, refuse, deduplicate and split them.

chunk.py       what a reader hands on: sequences as columns, rejected records beside them
checks.py      what any record must be, and the codes of those that are rejected
refusals.py    which records of a Chunk are rejected, and for what first reason
duplicates.py  ids that stand twice, entities in both splits
splits.py      entity or time -> train or eval, the same in every run
"""
