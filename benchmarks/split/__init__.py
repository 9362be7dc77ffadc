"""Measure what reading a split takes.

__main__.py  the measurement, and the table of docs/scale.md
"""
