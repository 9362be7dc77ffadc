"""Build the masked autoencoder.

architecture.py         encoder -> embedding -> decoder -> Dense, cropped
dense.py                a product whose rows do not depend on their company
cells.py                the kinds of recurrent layers
recurrent_layers.py     stacks of them
sequence_layers.py      a recurrent layer of Keras, run over padded sequences
lstm/                   an LSTM that is fast on a CPU
linear_path.py          the linear path around the recurrence, started at a PCA
sequence_statistics.py  statistics of a sequence, which the linear path reads, too
statistics_head.py      the same, predicted from the embedding in training
grid_resample.py        sequences of any length <-> a grid of K steps
shrinkage_pca.py        principal components of a covariance that is shrunk
"""
