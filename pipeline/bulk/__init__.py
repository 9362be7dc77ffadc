"""Encode raw files with a pushed encoder: `ragline encode`.

encode_files.py   raw files -> embeddings in Parquet, resumable
encode_job.py     the Beam job
embedder.py       the encoder of a job, in its fast form or in TensorFlow
drift.py          the drift of the encoded data from the training data
encode_output.py  the folder of the result, on a disk or in a store
neighbours.py     the nearest embeddings to one
parts.py          Parquet files of embeddings, whole or absent
"""
