"""Stage 5: masked metrics on TFX's Evaluator (TFMA), baselines beside them, the verdict.

totals.py      sums of many sequences, by group (pure)
formulas.py    totals -> metrics with their intervals (pure)
slices.py      by which columns, and which of their values (pure)
metrics.py     the formulas as a TFMA metric
config.py      the EvalConfig
results.py     TFMA's evaluation -> plain tables
blessed.py     the newest version that was pushed
records.py     raw records, read for the baselines
models.py      a SavedModel of ours, asked about them
pca.py         the linear baseline (pure)
embedding.py   collapse, leakage, neighbours, probes (pure)
baselines.py   all of these together
rules.py       what blesses a model, as it is configured (pure)
verdict.py     metrics -> blessed or not, in sentences (pure)
component.py   the TFX components of the baselines and of the verdict
"""
