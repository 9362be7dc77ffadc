"""Tests of the split: stable, near its share, and a function of the entity alone."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.contract.columns import SPLITS, Columns, Feature
from ragline.components.ingest.options import InputOptions, QuarantineOptions, StepOptions
from ragline.components.ingest.records.chunk import Record, of_records
from ragline.components.ingest.records.splits import LEFT_OUT, split_of, splits_of
from ragline.components.ingest.steps.policies import apply

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
    in_eval = sum(split_of(entity_id, share) == "eval" for entity_id in IDS)
    five_deviations = 5 * (share * (1 - share) * len(IDS)) ** 0.5
    assert abs(in_eval - share * len(IDS)) < five_deviations


@given(st.text(st.characters(codec="utf-8")), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds_entities_to_eval(entity_id: str, one: float, two: float) -> None:
    small, large = sorted((one, two))
    assert split_of(entity_id, small) in SPLITS
    if split_of(entity_id, small) == "eval":
        assert split_of(entity_id, large) == "eval"


def test_the_split_is_the_same_in_another_process_and_order() -> None:
    top = pathlib.Path(__file__).parents[2]
    code = (
        "import sys; from ragline.components.ingest.records.splits import split_of\n"
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
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InputOptions(**{"train": "*.jsonl", **given})


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_the_quarantine_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"max_share: expected a share from 0 to 1, .* {share}"):
        QuarantineOptions(max_share=share)


ENTITIES = st.lists(st.sampled_from(["a", "b", "wearer-0", "wearer-1"]))
TIMED = InputOptions(train="*.csv", order_by="t", eval_from="1970-01-01T00:00:01+00:00")


@given(ENTITIES, st.floats(0.01, 0.99))
def test_sequences_go_where_their_entity_goes(entities: list[str], share: float) -> None:
    options = InputOptions(train="*.csv", eval_share=share)
    splits = splits_of(entities, options, None, None, is_older=False)
    assert splits.tolist() == [split_of(entity, share) for entity in entities]


@given(ENTITIES, st.floats(0.01, 0.99))
def test_of_an_older_span_what_falls_to_eval_is_left_out(entities: list[str], share: float) -> None:
    options = InputOptions(train="*.csv", eval_share=share)
    newest, older = (
        splits_of(entities, options, None, None, is_older=is_older) for is_older in (False, True)
    )
    assert older.tolist() == [LEFT_OUT if split == "eval" else "train" for split in newest]


@given(ENTITIES, st.sampled_from(SPLITS))
def test_the_split_of_a_file_goes_before_all_others(entities: list[str], split: str) -> None:
    splits = splits_of(entities, TIMED, split, np.zeros(len(entities), np.int64), is_older=True)
    assert splits.tolist() == [split] * len(entities)


def test_with_a_cut_in_time_what_starts_then_or_later_goes_to_eval() -> None:
    start = np.array([-1, 10**9 - 1, 10**9, 10**9 + 1])
    splits = splits_of(["a"] * 4, TIMED, None, start, is_older=True)
    assert splits.tolist() == ["train", "train", "eval", "eval"]


def test_all_pieces_of_a_record_fall_in_the_split_of_its_first_step() -> None:
    columns = Columns(
        features=(Feature(name="x", unit=None, allow_missing=False),), context={}, has_time=True
    )
    chunk = of_records(
        [
            Record(
                number=1,
                sequence_id="s",
                entity_id=None,
                length=6,
                values={"x": np.zeros(6)},
                time=np.arange(6) * 10**9,
                context={},
            )
        ],
        columns,
    )
    for policy in ({"max_length": 2}, {"max_length": 2, "too_long": "tail"}, {"session_gap": 0.5}):
        applied = apply(chunk, columns, StepOptions(**policy))
        splits = splits_of(["s"] * len(applied.record), TIMED, None, applied.start, is_older=False)
        assert set(splits) == {"train"}
        assert {entity for cut in applied.chunks for entity in cut.entity_id} == {"s"}


def test_a_cut_in_time_needs_times() -> None:
    with pytest.raises(ValueError, match="eval_from: expected sequences with times"):
        splits_of(["a"], TIMED, None, None, is_older=False)
