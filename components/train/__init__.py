"""Stage 4: the masked LSTM autoencoder.

options.py     what may be configured
batching.py    which sequences share a batch, from their lengths alone
records.py     what TFX hands over, unpacked; the batches of a split
input.py       transformed records -> padded batches of similar length, with sample_weight
padding.py     what each strategy of padding does to a batch
model.py       encoder -> code -> decoder -> Dense, cropped; one model a strategy
fused_lstm.py  Keras's LSTM, fast on a CPU
recurrence.py  its loops over steps, as machine code
linear.py      the linear path around the recurrence, started at a PCA
resample.py    sequences of any length <-> a grid of K steps
principal.py   principal components, of a covariance that is shrunk
categories.py  codes of words: their embeddings' sizes, their cross-entropy
loss.py        the losses and every error sum, each a masked sum
trainer.py     one update and one evaluation, on one device or several
loop.py        epochs, early stopping, resuming
checkpoint.py  whole or absent checkpoints, resumed exactly
training.py    a training whole, from a task to its last weights
cluster.py     the workers of several machines, as TF_CONFIG names them
together.py    one that leads and others that follow
worker.py      the process of each
effect.py      what padding had to do with a training
exhibit.py     what a report and the projector show of the eval split
export.py      the SavedModel and its signatures
run_fn.py      what TFX's Trainer calls, by its dotted name
tuning.py      what a search tries, and what it holds out
search.py      the search, by KerasTuner
tuner_fn.py    what TFX's Tuner calls, by its dotted name
"""
