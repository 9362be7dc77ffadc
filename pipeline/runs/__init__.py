"""Run the pipeline in a work directory.

runner.py          `run` and `compare`
workdir.py         one run at a time in a work directory, with a quiet terminal
preflight.py       checks before a run: disk space, writable folders, a sound database
tfx_run.py         the stages, one by one, in TFX's LocalDagRunner
display.py         progress, as one live line or as plain lines
interrupts.py      the end of a command by Ctrl-C or SIGTERM
terminal.py        output to streams that may be closed or full
memory.py          peak memory by stage
machine_errors.py  a full disk, a read-only folder, no memory, in one sentence
spans.py           runs over spans, and their journal
redaction.py       masking of secrets in options and URIs
kubeflow.py        `compile`: the pipeline for Kubeflow Pipelines
"""
