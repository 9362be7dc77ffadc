"""Standardise each feature over valid, observed values only, by TensorFlow Transform.

standardise.py     statistics and z-scores in float64, one row-major matrix a sequence (pure)
vocabulary.py      tokens of a category -> token ids
preprocessing.py   preprocessing_fn, which the component names by its dotted name
analysis.py        what TFT makes on the way, sent to workers by value
run.py             the Beam job, and the graph from what it wrote
executor.py        between TFX's dictionaries and `run`
component.py       the TFX component
"""
