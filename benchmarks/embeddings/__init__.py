"""Measure what embeddings are good for: `python -m benchmarks.quality`.

sets.py      ten sets of sequences with a class each, split into train and test
rivals.py    PCA, statistics and MiniRocket, each reduced to as many numbers
ours.py      ragline's own commands on a set: init, run, encode
measures.py  what the numbers of a sequence tell of its class and of its neighbours
"""
