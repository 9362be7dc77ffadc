"""Stage 4: the masked LSTM autoencoder.

options.py     what may be configured
input.py       transformed records -> padded batches bucketed by length, with sample_weight
model.py       encoder LSTM -> code -> decoder LSTM -> Dense, cropped
loss.py        the loss and every error sum, each a masked sum
loop.py        one training loop for one device or several
checkpoint.py  whole or absent checkpoints, resumed exactly
export.py      the SavedModel and its signatures
run_fn.py      what TFX's Trainer calls, by its dotted name
"""
