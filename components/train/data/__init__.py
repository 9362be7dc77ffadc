"""Turn transformed records into padded batches of similar length.

records.py         what TFX hands to a training, unpacked; the batches of a split
budget.py          batch size, epochs and patience, from the number of sequences
batching.py        which sequences share a batch, from their lengths alone
split_samples.py   a part of each split, in a file that every epoch reads
random_slices.py   a slice of each sequence of a batch
sequence_batch.py  what a batch holds, and what every consumer takes
input_pipeline.py  records -> padded batches with their sample_weight
"""
