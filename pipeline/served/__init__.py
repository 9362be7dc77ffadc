"""Look after what a work directory serves.

signature.py  what is served, held against the configuration before a run
versions.py   `versions` and `rollback`
"""
