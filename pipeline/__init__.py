"""The pipeline around the stages: configuration, wiring, runs, the command line.

config.py      TOML -> frozen dataclasses, every mistake named
dag.py         which stage feeds which (wiring only)
workdir.py     one run at a time in a folder, the terminal kept free of chatter
runner.py      `run` and `compare`
tfx_run.py     a pipeline by TFX's LocalDagRunner, stage by stage
workers.py     a run ends when a Beam worker does
lineage.py     what ML Metadata knows of one run
summary.py     what a run did, from its artifacts
comparison.py  the table of `ragline compare`
report.py      the summary as a page
encode.py      `ragline encode`: raw files -> embeddings; encode_job.py, its Beam job
synth.py       the demo data
exits.py       exit codes
__main__.py    the command line
"""
