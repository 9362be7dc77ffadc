"""Sample the input through the readers, checks and policies of a run.

sampling.py        reads the sample
preview_result.py  what the sample holds, for `ragline plan`
"""
