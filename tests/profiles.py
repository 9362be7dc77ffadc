"""The two profiles: `make test`, and `make test-full`, which is all there is.

A test that is left to the second has the marker `full`; one that draws its cases draws a fifth of
them in the first. test_profiles.py holds that no test is in neither.
"""

import os

import pytest

# Every test of a session, those among them that it leaves out.
COLLECTED = pytest.StashKey[list[pytest.Item]]()
FULL = os.environ.get("RAGLINE_TESTS") == "full"
_LEAST = 10


def sampled(number: int) -> int:
    """How many of the cases of the full profile a test draws."""
    return number if FULL else max(min(number, _LEAST), number // 5)
