"""Runs that several tests look at, by the real command, in processes of their own."""

import pathlib

import cut_off
import pytest
from commands import Run, run_pipeline
from conftest import DEMO, JAPANESE_VOWELS, write_jsonl

SPEAKER = (
    '{name = "speaker", column = "label", type = "classification", weight = 0.1, '
    'classes = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]}'
)


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
def finished(request) -> pathlib.Path:
    """A work directory with a finished run: the demo's, where `.ci/run` has just made one."""
    return DEMO or request.getfixturevalue("gestures_run").workdir


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
