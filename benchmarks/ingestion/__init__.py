"""Run the sides of the ingest benchmark, each in a process of its own.

data.py   the same sequences in every format
floor.py  the least that must be done: no Beam, one core
side.py   one side on one format
"""
