"""Run the sides of the training benchmark, each in a process of its own.

answers.py          the protocol between `benchmarks.train` and a side
data.py             sequences and lengths
tensorflow_side.py  ragline and Keras
torch_side.py       PyTorch
"""
