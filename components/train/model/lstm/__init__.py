"""Compute an LSTM fast on a CPU.

fused_lstm.py  a layer that chooses by its device: Keras's on a GPU, elsewhere the loops
recurrence.py  the loops over steps, as machine code
tiles.py       their products, in registers
"""
