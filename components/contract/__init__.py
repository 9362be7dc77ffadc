"""State what the stages agree on: names of columns and artifacts, masks, errors.

columns.py     feature keys, the columns of a data set, the shape letters
relative.py    the objective: terms relative to their trivial baselines
masking.py     lengths -> masks, and the one definition of a masked mean
signatures.py  names in the exported SavedModel
artifacts.py   artifact types of our own, and where their files stand
errors.py      errors that a person reads as sentences
exits.py       exit codes of `ragline`
keep.py        the table `[keep]`: how much of earlier runs stays
redaction.py   what is secret in options and URIs, masked
"""
