"""Release versions of an encoder, and withdraw them.

entries.py          what the ledger holds: versions, and what was begun
publish.py          the steps: copy to a dot-folder, seal, rename, delete the files that are named
transaction.py      intent, rename, done; what a killed process had begun is finished or undone
ledger.py           every version ever pushed, with the digests of its files
release_version.py  one way to a new version: stage, check, seal, rename
rollback.py         an earlier version becomes the newest again
"""
