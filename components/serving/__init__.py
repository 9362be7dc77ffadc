"""Load a pushed encoder, and batch sequences for it.

facts.py     what an exported model states of itself: encoder.json
encoder.py   a pushed SavedModel, loaded once: features, categories, `score`
tables.py    frames, Arrow tables and arrays of Python's -> sequences in flat columns
batches.py   sequences in flat columns -> padded batches of about equal length
versions.py  folders of versions: numbers, manifests, damage
"""
