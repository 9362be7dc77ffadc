"""Score baselines on the eval split, and probe the embedding.

raw_records.py          raw records: names, lengths, slices
served_model.py         a SavedModel of ours, called on raw records
pca_baseline.py         the linear baseline (pure)
statistics_baseline.py  statistics of each feature, for the probes (pure)
embedding_probes.py     collapse, leakage, neighbours, probes (pure)
baseline_scores.py      all baselines together
"""
