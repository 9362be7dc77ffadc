"""Offer the pipeline to Python: calls that leave their process as it is, and an estimator.

A run moves file descriptors, handles signals, and imports what changes its process (TFX makes
`tf.keras` another library). A call therefore runs in a process of its own, which ends with it.

calls.py       `run`, `plan`, `check`, `encode`, `neighbours`, `load`
estimator.py   `SequenceEncoder`, for scikit-learn
training.py    sequences of Python's -> the files of a run: Parquet and a configuration
report.py      a run's report, as a notebook shows it
process.py     a function of ours in a process of its own, with its progress and its errors
child.py       that process
one_line.py    progress in a notebook
"""
