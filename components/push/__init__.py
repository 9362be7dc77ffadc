"""Stage 6: the check in a clean process, and the push that cannot break serving.

contract.py    the padding contract as one function: every violation with its figure
probes.py      real sequences on which the contract is checked
check.py       `python -m components.push.check`: loads a SavedModel with TensorFlow alone
publish.py     stage in a dot-folder, fsync, rename to the next version
component.py   the TFX component
"""
