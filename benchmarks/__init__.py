"""Measurements with their commands; each prints the table that a page in docs/ shows."""
