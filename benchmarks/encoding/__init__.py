"""The sides of `benchmarks/runtimes.py`: one encoder, in each runtime.

case.py        the sequences and weights, for NumPy alone
sides.py       ragline, onnxruntime and OpenVINO
torch_side.py  PyTorch, in an environment of its own
"""
