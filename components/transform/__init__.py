"""Stage 3: TensorFlow Transform standardises each feature over valid, observed values only.

standardise.py     statistics and z-scores in float64, and the shape of what leaves (pure)
vocabulary.py      the words of a category -> codes
preprocessing.py   preprocessing_fn, which TFX's Transform calls by its dotted name
"""
