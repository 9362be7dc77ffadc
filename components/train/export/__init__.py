"""Export the trained model, with its facts, golden inputs and samples beside it.

export_model.py            the SavedModel and its signatures
length_groups.py           sequences of very different lengths, a few of like length at a time
model_facts.py             what the model states of itself, as encoder.json
long_sequences.py          the embedding of a long one, with a part of its steps in memory
golden_inputs.py           raw sequences with the embeddings of the model in memory
reconstruction_samples.py  sequences of the eval split for the report and the projector
sample_profiles.py         their errors by position, and their neighbours (pure)
"""
