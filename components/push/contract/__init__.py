"""Hold a SavedModel to the padding contract, in a process of its own.

padding_contract.py  the contract as one function: every violation with its figure
sequences.py         a sequence padded with any content, or with one more step
probes.py            sequences on which the contract is checked
hard_requests.py     what it must say to requests that are hard to answer, and within which memory
golden.py            the embeddings that the model gave when it was trained, computed again
graph.py             what a SavedModel may be made of: the operations of clean exports, in ops.txt
arithmetic.py        ... and those that encoders may compute with besides
stored_weights.py    the weights of a SavedModel, held against the digest that it states
clean_process.py     `python -m ragline.components.push.contract.clean_process MODEL`
check.py             starts that process: for the push, and for `ragline check`
"""
