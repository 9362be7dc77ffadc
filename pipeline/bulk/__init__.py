"""Encode raw files with a pushed encoder: `ragline encode`.

encode_files.py   raw files -> embeddings in Parquet, resumable
encode_job.py     its Beam job
drift.py          what is encoded, beside what the encoder was trained on
encode_output.py  the result in a folder of a disk or of a store
parts.py          Parquet files of embeddings, whole or absent
"""
