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
encode.py      `ragline encode`: raw files -> embeddings; encode_job.py, its Beam job
feature_statistics.py  what StatisticsGen says of each feature
report.py      the summary as a page; figures.py and exhibit_figures.py, its plots
display.py     progress in a terminal, or as plain lines; ending.py, the last words of a run
watch.py       memory by stage
plan.py        `plan`: what a run would find and do; plan_text.py shows it
init.py        `init`: a configuration and a schema for a folder of files
sniff.py       the beginnings of files as columns; guess.py, what they mean; draft.py writes it down
spans.py       runs over spans, and the journal of those that are done
kubeflow.py    `compile`: the pipeline for Kubeflow Pipelines
synth.py       the demo data
exits.py       exit codes
arguments.py   what the command line takes; __main__.py, what it does
"""
