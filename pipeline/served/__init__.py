"""Look after what a work directory serves.

signature.py  what is served, held against the configuration before a run
encoders.py   the encoder that a command is given
versions.py   `versions` and `rollback`
"""
