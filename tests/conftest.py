"""Runs that several tests look at: made once, by the real command, in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

# The same cases in every run, so that a commit's tests pass or fail for what it changes;
# HYPOTHESIS_PROFILE=default draws new ones.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEAKER = (
    '{name = "speaker", column = "label", type = "classification", weight = 0.1, '
    'classes = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]}'
)
JAPANESE_VOWELS = ROOT.parent / "shared" / "data" / "japanese_vowels"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that one worker does it while the other does all the rest."""
    items.sort(key=lambda item: item.path.name != "test_end_to_end.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished `ragline run`."""

    workdir: pathlib.Path
    exit_code: int
    summary: dict[str, Any]
    stdout: str
    stderr: str
    arguments: tuple[str, ...]

    @property
    def serving(self) -> list[pathlib.Path]:
        folder = self.workdir / "serving"
        return sorted(folder.iterdir()) if folder.is_dir() else []


def ragline(workdir: pathlib.Path, *arguments: str) -> Run:
    """`ragline run ... --workdir W --json`, as a user would run it."""
    done = subprocess.run(
        [sys.executable, "-m", "ragline", "run", *arguments, "--workdir", workdir, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.stdout, done.stderr
    return Run(
        workdir=workdir,
        exit_code=done.returncode,
        summary=json.loads(done.stdout),
        stdout=done.stdout,
        stderr=done.stderr,
        arguments=arguments,
    )


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
    """The pipeline on 400 gestures, of which one record more is bad and is quarantined."""
    folder = tmp_path_factory.mktemp("gestures")
    bad = {"sequence_id": "bad", "features": {"ax": []}}
    write_jsonl(folder / "data" / "a.jsonl", [*gestures[:200], bad])
    write_jsonl(folder / "data" / "b.jsonl", gestures[200:])
    return ragline(
        folder / "work",
        "examples/gestures.toml",
        "--set",
        f"input.train={folder}/data/*.jsonl",
        "--set",
        "train.epochs=2",
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
    return ragline(
        tmp_path_factory.mktemp("vowels"),
        "examples/japanese_vowels.toml",
        "--set",
        f"input.train={JAPANESE_VOWELS}/JapaneseVowels_TRAIN.ts",
        "--set",
        f"input.eval={JAPANESE_VOWELS}/JapaneseVowels_TEST.ts",
        "--set",
        "train.epochs=4",
        "--set",
        f"heads=[{SPEAKER}]",
    )
