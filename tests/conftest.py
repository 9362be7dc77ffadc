"""Runs that several tests look at: made once, by the real command, in processes of their own."""

import json
import os
import pathlib
from typing import Any

import cut_off
import hypothesis
import pytest
from commands import ROOT, Run, run_pipeline
from profiles import FULL, sampled

# The same cases in every run, so that a commit's tests pass or fail for what it changes;
# HYPOTHESIS_PROFILE=default draws new ones.
hypothesis.settings.register_profile("same", derandomize=True, max_examples=sampled(100))
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

SPEAKER = (
    '{name = "speaker", column = "label", type = "classification", weight = 0.1, '
    'classes = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]}'
)
JAPANESE_VOWELS = ROOT.parent / "shared" / "data" / "japanese_vowels"


# What one worker does in a row: all that looks at the same run, else a file. The long ones, with
# their seconds on two quiet cores, go first, so that the short ones fill what is left.
_SHARED = ("gestures_run", "vowels_run", "undisturbed")
_SECONDS: dict[str, int] = {}


@pytest.hookimpl(tryfirst=True)  # Before xdist looks for groups.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups the tests, the longest group first, and leaves out what is for `make test-full`."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=_place)
    if not FULL:
        full = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=full)


def _group(item: pytest.Item) -> str:
    of_run = [name for name in _SHARED if name in getattr(item, "fixturenames", ())]
    return of_run[0] if of_run else str(item.path.relative_to(ROOT / "tests"))


def _place(item: pytest.Item) -> tuple[int, str]:
    group = item.get_closest_marker("xdist_group").args[0]
    return -_SECONDS.get(group, 0), group


def write_jsonl(path: pathlib.Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture(scope="session")
def gestures() -> list[dict[str, Any]]:
    """400 records of the demo data."""
    from ragline.pipeline.demo import synth

    return list(synth.gestures(sequences=400, seed=3))


@pytest.fixture(scope="session")
def gestures_run(gestures, tmp_path_factory) -> Run:
    """The pipeline on 400 gestures, of which one record more is bad and is quarantined.

    By a true command line, cut off from the network, with all that Python would warn of.
    """
    folder = tmp_path_factory.mktemp("gestures")
    bad = {"sequence_id": "bad", "features": {"ax": []}}
    write_jsonl(folder / "data" / "a.jsonl", [*gestures[:200], bad])
    write_jsonl(folder / "data" / "b.jsonl", gestures[200:])
    return run_pipeline(
        folder / "work",
        "examples/gestures.toml",
        *("--set", f"input.train={folder}/data/*.jsonl"),
        *("--set", "train.epochs=2"),
        anew=True,
        prefix=cut_off.prefix(),
        env=cut_off.environment(folder) | {"PYTHONWARNINGS": "default"},
    )


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> pathlib.Path:
    """A pushed encoder of gestures, version 1; version 2 is beside it."""
    import pushed

    return pushed.gestures(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def vowels_run(tmp_path_factory) -> Run:
    """The pipeline on the official split of Japanese Vowels, with a head on the speaker."""
    if not JAPANESE_VOWELS.is_dir():
        pytest.skip(f"the Japanese Vowels data is not in {JAPANESE_VOWELS}")
    return run_pipeline(
        tmp_path_factory.mktemp("vowels"),
        "examples/japanese_vowels.toml",
        *("--set", f"input.train={JAPANESE_VOWELS}/JapaneseVowels_TRAIN.ts"),
        *("--set", f"input.eval={JAPANESE_VOWELS}/JapaneseVowels_TEST.ts"),
        *("--set", "train.epochs=4"),
        *("--set", f"heads=[{SPEAKER}]"),
    )
