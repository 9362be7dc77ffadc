"""Simulate the demo's data.

synth.py  a wearable on the wrist of people who draw gestures
"""
