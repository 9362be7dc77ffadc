"""Apply a padding strategy to batches, and measure what padding did.

strategies.py           what each strategy of `train.padding` does to a batch
padding_diagnostics.py  the padding's share of the loss and of the gradient
"""
