"""Read and write files on a disk or in a store of objects, whole or not at all.

storage.py         atomic writes, JSON, digests
state.py           JSON files that prove themselves: version, checksum
places.py          files by path or by URI, through Beam's file systems
shard_manifest.py  the shards of a split: what a stage reads, in place of a glob
"""
