"""Measurements with their commands; each prints the table that a page in docs/ shows.

encode.py       `ragline encode` and the exported encoder, beside plain loops
encode_loop.py  such a loop
encoding/       the sides of runtimes.py
gpu.py          training on a GPU
growth.py       a whole run from 10^3 to 10^5 sequences, and its Beam parts on worker processes
ingest.py       ingest beside the least that must be done
ingestion/      its sides
quality.py      the models of docs/quality.md
runtimes.py     one encoder in ragline, onnxruntime, OpenVINO and PyTorch
scale.py        costs in docs/scale.md
serving.py      memory of a request
split/          reading a split, whole and as a sample
train.py        updates beside PyTorch and Keras
training/       its sides
"""
