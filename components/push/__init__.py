"""Check the model in a clean process, and push it without breaking serving.

contract/      the padding contract, and the process that checks it
release/       versions, the ledger, rollback
options.py     the `[push]` table
executor.py    what the TFX component runs
component.py   the TFX component
"""
