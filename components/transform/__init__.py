"""Standardise each feature over valid, observed values only, by TensorFlow Transform.

standardise.py     statistics and z-scores in float64, one row-major matrix a sequence (pure)
vocabulary.py      tokens of a category -> token ids
preprocessing.py   preprocessing_fn, which TFX's Transform calls by its dotted name
"""
