"""Load a pushed encoder, and batch sequences for it.

facts.py     what an exported model states of itself: encoder.json
portable.py  what an encoder computes, in operations of ONNX
encoder.py   a pushed SavedModel, loaded once: `encode`, `score`
tables.py    frames, Arrow tables and arrays of Python's -> sequences in flat columns
batches.py   sequences in flat columns -> padded batches of about equal length
versions.py  folders of versions: numbers, manifests, damage
fast/        the same embeddings without TensorFlow, in a runtime made for inference
"""
