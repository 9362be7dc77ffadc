"""Decide whether a model is blessed, in sentences.

rules.py           what blesses a model, as a person writes it (pure)
baseline_model.py  the newest blessed version, with which a candidate is compared
objective.py       the objective that is judged, and sentences on its terms (pure)
label_probes.py    sentences on labels that a baseline predicts better (pure)
judgement.py       metrics -> blessed or not (pure)
"""
