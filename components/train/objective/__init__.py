"""Sum losses and errors over valid, observed values.

loss.py               the loss and every error sum, each a masked sum
bigram.py             each token of a category from the one before it
categories.py         embeddings and cross-entropies of categorical steps
trivial_baselines.py  what each term of the objective is compared with
"""
