"""State what the stages agree on: names of columns and artifacts, masks, errors.

columns.py     feature keys, the columns of a data set, the shape letters
masking.py     lengths -> masks, and the one definition of a masked mean
signatures.py  names in the exported SavedModel
artifacts.py   artifact types of our own, and where their files stand
registry.py    implementations by name, of the package and of others
errors.py      errors that a person reads as sentences
exits.py       exit codes of `ragline`
keep.py        the table `[keep]`: how much of earlier runs stays
redaction.py   what is secret in options and URIs, masked
"""
