"""Tests of the split: stable, near its share, and a function of the entity alone."""

import os
import pathlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest.options import InputOptions
from components.ingest.splits import split_of
from components.sequence import SPLITS

IDS = tuple(f"entity-{number}" for number in range(20_000))

# A change here moves entities of every existing data set from one split to the other.
GOLDEN = {
    "wearer-0": "eval",
    "wearer-1": "train",
    "patient-1": "train",
    "patient-2": "eval",
    "": "train",
    "grüße": "train",
}


@pytest.mark.parametrize(("entity_id", "split"), GOLDEN.items())
def test_golden_ids_stay_where_they_are(entity_id: str, split: str) -> None:
    assert split_of(entity_id, 0.2) == split


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_the_share_of_entities_is_near_the_wanted_one(share: float) -> None:
    found = sum(split_of(entity_id, share) == "eval" for entity_id in IDS)
    five_deviations = 5 * (share * (1 - share) * len(IDS)) ** 0.5
    assert abs(found - share * len(IDS)) < five_deviations


@given(st.text(st.characters(codec="utf-8")), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds_entities_to_eval(entity_id: str, one: float, two: float) -> None:
    small, large = sorted((one, two))
    assert split_of(entity_id, small) in SPLITS
    if split_of(entity_id, small) == "eval":
        assert split_of(entity_id, large) == "eval"


def test_the_split_is_the_same_in_another_process_and_order() -> None:
    top = pathlib.Path(__file__).parents[2]
    code = (
        "import sys; from components.ingest.splits import split_of\n"
        "print(' '.join(split_of(i, 0.2) for i in sys.argv[1:]))"
    )
    ids = IDS[:200][::-1]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(top)}
    command = [sys.executable, "-c", code, *ids]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == [split_of(entity_id, 0.2) for entity_id in ids]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": ""}, "train: expected a path or a pattern"),
        ({"eval_share": 0.0}, "eval_share: expected a share between 0 and 1, received 0.0"),
        ({"eval_share": 1.0}, "eval_share: expected a share between 0 and 1, received 1.0"),
        (
            {"eval_share": float("nan")},
            "eval_share: expected a share between 0 and 1, received nan",
        ),
        ({"max_quarantine_share": -0.1}, "max_quarantine_share: expected .* received -0.1"),
        ({"max_quarantine_share": 1.1}, "max_quarantine_share: expected .* received 1.1"),
        ({"max_quarantine_share": float("nan")}, "max_quarantine_share: expected .* received nan"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InputOptions(**{"train": "*.jsonl", **given})
