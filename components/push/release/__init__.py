"""Release versions of an encoder, and withdraw them.

publish.py          stages in a dot-folder, flushes, renames to a number
ledger.py           every version ever pushed, with the digests of its files
release_version.py  one way to a new version: stage, check, seal, rename
rollback.py         an earlier version becomes the newest again
"""
