"""The pipeline around the stages: configuration, wiring, runs, the command line.

config.py    TOML -> frozen dataclasses, every mistake named
dag.py       which stage feeds which (wiring only)
runner.py    one run in a work directory
summary.py   what a run did, read off ML Metadata and its artifacts
report.py    the summary as a page
synth.py     the demo data
__main__.py  the command line
"""
