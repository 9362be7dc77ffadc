"""Run the pipeline in a work directory.

runner.py          `run` and `compare`
workdir.py         one run at a time in a folder, a terminal kept free of chatter
preflight.py       room on the disk, folders that can be written, a sound database
tfx_run.py         a pipeline by TFX's LocalDagRunner, stage by stage
display.py         progress, as one live line or as plain lines
interrupts.py      a command and Ctrl-C, SIGTERM
terminal.py        streams that may be closed or full
memory.py          memory by stage
machine_errors.py  a full disk, a read-only folder, no memory, in one sentence
spans.py           runs over spans, and the journal of those that are done
kubeflow.py        `compile`: the pipeline for Kubeflow Pipelines
"""
