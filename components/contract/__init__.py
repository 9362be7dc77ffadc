"""State what the stages agree on: names of columns and artifacts, masks, errors.

columns.py             feature keys, the columns of a data set, the shape letters
kinds/                 the kinds of values of a column: text, integers, numbers
feature_transforms/    transforms of a feature's values, before they are standardised
feature_statistics.py  mean and deviation of each feature, from Transform to the export
sampling/              a part of a split, by entity
relative.py            the objective: terms relative to their trivial baselines
masking.py             masks of lengths, and the definition of a masked mean
signatures.py          names in the exported SavedModel
artifacts.py           artifact types of our own
file_names.py          the files in them
registry.py            implementations by name, of the package and of others
errors.py              errors that are shown as sentences
exits.py               exit codes of `ragline`
keep.py                the table `[keep]`: how much of earlier runs is kept
suggestions.py         the word that somebody meant
"""
