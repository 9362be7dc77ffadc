"""Stage 5: masked metrics on TFX's Evaluator (TFMA), trivial baselines beside them, the verdict.

metrics.py     a TFMA metric: one sum over another, divided once
config.py      which metrics, over which slices
results.py     TFMA's evaluation -> plain tables
verdict.py     metrics -> blessed or not, in sentences (pure)
component.py   the TFX component of the verdict
"""
