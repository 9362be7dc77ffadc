"""Decide what a run takes from earlier runs, and keep it sound.

cache_key.py           what decides the key of TFX's cache: our code, others' versions
artifact_manifests.py  size and SHA-256 of every file of an artifact
cache_guard.py         reused artifacts, compared with their manifests
gather_facts.py        all that decides a run's results, before TFX is imported
repeat.py              a run of which nothing has changed, repeated without TFX
lineage.py             the stages and artifacts of a run, in ML Metadata
recovery.py            removal of what an interrupted run left
marker.py              workdir.json: which pipeline a work directory belongs to
clean.py               `ragline clean`: removal of what [keep] does not keep
aside.py               files set aside: moved to a dated folder, never deleted
"""
