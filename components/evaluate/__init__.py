"""Measure masked metrics and baselines, and give the verdict.

metrics/       masked metrics on TFMA
baselines/     what else reconstructs the eval split, and probes of the embedding
verdict/       rules, and metrics -> blessed or not
executor.py    between TFX's dictionaries and TFMA
component.py   the TFX components of the metrics, the baselines and the verdict
"""
