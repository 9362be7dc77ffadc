"""After the stages: sequences -> embeddings, by a pushed encoder.

batches.py   sequences in flat columns -> padded batches of about one length
encoder.py   a pushed SavedModel, loaded once: features, categories, `score`
parts.py     Parquet files of embeddings, whole or absent
"""
