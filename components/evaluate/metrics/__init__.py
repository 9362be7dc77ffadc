"""Compute masked metrics from sums, through TFMA.

totals.py          sums of many sequences, by group (pure)
formulas.py        totals -> metrics with their intervals (pure)
slices.py          by which columns, and which of their values (pure)
masked_metrics.py  the formulas as one TFMA metric
eval_config.py     the EvalConfig of TFX's Evaluator
tfma_results.py    TFMA's evaluation -> plain tables
"""
