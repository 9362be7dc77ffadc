"""Stage 6: the check in a clean process, and the push that cannot break serving.

contract.py     the padding contract as one function: every violation with its figure
sequences.py    a sequence padded with any content, or with one more step
probes.py       sequences on which the contract is checked
golden.py       the embeddings that the model gave when it was trained, asked for again
graph.py        what a SavedModel may be made of: the operations of clean exports, in ops.txt
fingerprint.py  one digest of what a SavedModel computes, equal for equal models
saved_model.py  `python -m ragline.components.push.contract.clean_process`: a SavedModel, held to all that
check.py        that in a clean process: for the push, and for `ragline check`
publish.py      stage in a dot-folder, fsync, rename to a number; remove and set aside likewise
ledger.py       every version ever pushed, with the digests of its files
delivery.py     the road to a new version: already there? withdrawn? stage, check, seal, rename
rollback.py     an earlier version becomes the newest again, by that road
options.py      the `[push]` table
component.py    the TFX component
executor.py     what it runs
"""
