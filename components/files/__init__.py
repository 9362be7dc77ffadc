"""Read and write files on a disk or in a store of objects, whole or not at all.

storage.py         atomic writes, JSON, digests
state.py           state files: JSON with a kind, a version and a checksum
places.py          files by path or by URI, through Beam's file systems
staging.py         what is not yet the output of a stage
tables.py          tables of TOML as dataclasses, each mistake with its key
shards.py          shards of records for TensorFlow, with a cache of those in a store
"""
