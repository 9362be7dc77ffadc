"""Stage 6: the check in a clean process, and the push that cannot break serving.

contract.py     the padding contract as one function: every violation with its figure
sequences.py    a sequence padded with any content, or with one more step
probes.py       sequences on which the contract is checked
saved_model.py  `python -m components.push.saved_model`: a SavedModel, held to the contract
check.py        that in a clean process: for the push, and for `ragline check`
publish.py      stage in a dot-folder, fsync, rename to the next version
component.py    the TFX component
"""
