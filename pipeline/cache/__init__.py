"""Decide what a run takes from earlier runs, and keep it sound.

cache_key.py           our code and others' versions, for the keys of TFX's cache
artifact_manifests.py  size and SHA-256 of every file of an artifact
cache_guard.py         what is reused is held against its manifest
lineage.py             what ML Metadata knows of a run
recovery.py            what an interrupted run left
marker.py              the file that says whose a work directory is
clean.py               `ragline clean`: what [keep] does not keep of earlier runs
aside.py               what is set aside: moved to a dated folder, never deleted
"""
