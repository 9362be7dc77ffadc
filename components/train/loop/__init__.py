"""Update the weights, epoch by epoch, on one device or several.

trainer.py          one update, and one evaluation
decay.py            the learning rate of an update
row_parts.py        parts of a batch, cut by rows
fit_loop.py         epochs, early stopping, resuming
checkpoint.py       whole or absent checkpoints, resumed exactly
training.py         a training whole, from a task to its last weights
cluster.py          the workers of several machines, as TF_CONFIG names them
multiworker.py      a chief within a run, and the workers that follow it
training_worker.py  the process of each worker
"""
