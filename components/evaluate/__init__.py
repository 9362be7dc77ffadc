"""Measure masked metrics and baselines, and give the verdict.

metrics/       masked metrics on TFX's Evaluator (TFMA)
baselines/     what else reconstructs the eval split, and probes of the embedding
verdict/       rules, and metrics -> blessed or not
component.py   the TFX components of the baselines and of the verdict
"""
