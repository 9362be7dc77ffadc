"""Tests of the demo data: what the other stages, and their tests, count on to find in it."""

import collections
import json
import pathlib

import numpy as np
import pytest

from ragline.components.contract.errors import UsageError
from ragline.pipeline.demo import synth

SEQUENCES = 600


@pytest.fixture(scope="module")
def records() -> list[synth.Record]:
    return list(synth.gestures(sequences=SEQUENCES, seed=0))


def _lengths(records: list[synth.Record]) -> np.ndarray:
    return np.array([len(record["features"]["ax"]) for record in records])


def _values(record: synth.Record) -> np.ndarray:
    """The features of a record, [T, F]; NaN where a value is missing."""
    return np.array([record["features"][feature] for feature in synth.FEATURES], float).T


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _read(folder: pathlib.Path) -> list[synth.Record]:
    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is not JSON")

    return [
        json.loads(line, parse_constant=refuse)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def test_same_seed_same_bytes(tmp_path: pathlib.Path) -> None:
    synth.write(output=tmp_path / "a", sequences=50, seed=3)
    synth.write(output=tmp_path / "b", sequences=50, seed=3)
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


def test_seeds_differ(tmp_path: pathlib.Path) -> None:
    synth.write(output=tmp_path / "a", sequences=50, seed=3)
    synth.write(output=tmp_path / "b", sequences=50, seed=4)
    first, second = _contents(tmp_path / "a"), _contents(tmp_path / "b")
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


def test_files_hold_exactly_the_records(tmp_path: pathlib.Path) -> None:
    written = synth.write(output=tmp_path / "new" / "demo", sequences=50, seed=3)
    records = list(synth.gestures(sequences=50, seed=3))
    assert _read(tmp_path / "new" / "demo") == records
    assert (written.sequences, written.steps) == (50, _lengths(records).sum())
    assert [path.name for path in written.paths] == [
        f"gestures-{shard:05d}.jsonl" for shard in range(4)
    ]
    assert all(path.stat().st_size > 0 for path in written.paths)


@pytest.mark.parametrize("sequences", [1, 2, 3, 4, 5])
def test_few_sequences_leave_no_file_empty(tmp_path: pathlib.Path, sequences: int) -> None:
    written = synth.write(output=tmp_path, sequences=sequences)
    assert set(tmp_path.iterdir()) == set(written.paths)
    assert all(path.stat().st_size > 0 for path in written.paths)
    assert len(_read(tmp_path)) == sequences
    assert 1 in _lengths(_read(tmp_path))


def test_a_smaller_call_leaves_no_stale_file(tmp_path: pathlib.Path) -> None:
    synth.write(output=tmp_path, sequences=50)
    (tmp_path / "notes.txt").write_text("not ours\n")
    written = synth.write(output=tmp_path, sequences=3)
    assert set(tmp_path.iterdir()) == {*written.paths, tmp_path / "notes.txt"}
    assert _read(tmp_path) == list(synth.gestures(sequences=3, seed=0))


def test_a_file_that_would_be_read_with_them_is_refused_and_kept(tmp_path: pathlib.Path) -> None:
    (tmp_path / "gestures-00017.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"gestures-00017\.jsonl: expected no such file"):
        synth.write(output=tmp_path, sequences=3)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_failed_call_leaves_the_folder_as_it_was(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synth.write(output=tmp_path, sequences=50)
    before = _contents(tmp_path)
    dumps = json.dumps
    seen: list[set[str]] = []

    def dies_in_the_last_file(record: synth.Record, **options: object) -> str:
        if record["sequence_id"] == "g00049":
            seen.append({path.name for path in tmp_path.iterdir()} - before.keys())
            raise OSError("No space left on device")
        return dumps(record, **options)

    monkeypatch.setattr(json, "dumps", dies_in_the_last_file)
    with pytest.raises(OSError, match="No space left"):
        synth.write(output=tmp_path, sequences=50, seed=1)
    [unfinished] = seen
    assert len(unfinished) == 1
    assert all(name.startswith(".") for name in unfinished)
    assert _contents(tmp_path) == before


@pytest.mark.parametrize(
    ("argument", "sequences", "seed"), [("sequences", 0, 0), ("sequences", -1, 0), ("seed", 1, -1)]
)
def test_bad_arguments_write_nothing(
    tmp_path: pathlib.Path, argument: str, sequences: int, seed: int
) -> None:
    with pytest.raises(ValueError, match=f"argument {argument}. Expected: .* Received: "):
        synth.write(output=tmp_path / "demo", sequences=sequences, seed=seed)
    assert not (tmp_path / "demo").exists()


def test_records_have_the_promised_form(records: list[synth.Record]) -> None:
    assert len(records) == SEQUENCES
    assert len({record["sequence_id"] for record in records}) == SEQUENCES
    for record in records:
        assert record.keys() - {"label"} == {"sequence_id", "entity_id", "features"}
        assert tuple(record["features"]) == synth.FEATURES
        assert len({len(column) for column in record["features"].values()}) == 1


def test_numbers_are_short(records: list[synth.Record]) -> None:
    for record in records:
        values = _values(record)
        values = values[~np.isnan(values)]
        np.testing.assert_array_equal(values, np.round(values, 4))
        assert not np.signbit(values[values == 0]).any()


def test_lengths_spread_from_1_to_200(records: list[synth.Record]) -> None:
    lengths = _lengths(records)
    assert lengths.min() == 1
    assert lengths.max() == 200
    assert 50 <= np.median(lengths) <= 70
    assert {1, 2, 3, 4} <= set(lengths.tolist())
    assert np.quantile(lengths, 0.9) >= 3 * np.quantile(lengths, 0.1)


def test_recorder_pauses_are_zero_steps_strictly_inside(records: list[synth.Record]) -> None:
    paused = 0
    for record in records:
        zero = (_values(record) == 0).all(axis=1)
        assert not zero[0]
        assert not zero[-1]
        starts = np.flatnonzero(np.diff(zero.astype(int)) == 1)
        assert len(starts) <= 1
        assert not zero.any() or 2 <= zero.sum() <= 6
        paused += zero.any()
    assert 0.04 < paused / SEQUENCES < 0.12


def test_only_heart_rate_is_ever_missing_and_seldom(records: list[synth.Record]) -> None:
    missing = np.concatenate([np.isnan(_values(record)) for record in records])
    heart_rate = synth.FEATURES.index("heart_rate")
    assert not np.delete(missing, heart_rate, axis=1).any()
    assert 0 < missing[:, heart_rate].mean() < 0.02
    dropped_out = sum(None in record["features"]["heart_rate"] for record in records)
    assert 0.05 < dropped_out / SEQUENCES < 0.15


def test_saturation_is_constant(records: list[synth.Record]) -> None:
    assert {value for record in records for value in record["features"]["saturation"]} == {0.0}


def test_other_features_vary(records: list[synth.Record]) -> None:
    spread = np.nanstd(np.concatenate([_values(record) for record in records]), axis=0)
    assert (np.delete(spread, synth.FEATURES.index("saturation")) > 0.5).all()


def test_wearers_have_one_or_several_sequences(records: list[synth.Record]) -> None:
    sequences = collections.Counter(record["entity_id"] for record in records)
    assert SEQUENCES / 4 < len(sequences) < SEQUENCES / 2
    assert min(sequences.values()) == 1
    assert max(sequences.values()) >= 4


def test_labels_are_partly_absent(records: list[synth.Record]) -> None:
    labels = collections.Counter(record["label"] for record in records if "label" in record)
    assert 0.3 < 1 - labels.total() / SEQUENCES < 0.5
    assert labels.keys() == set(synth.GESTURES)
    assert min(labels.values()) > SEQUENCES * 0.6 / 5 / 2


def test_steps_follow_from_the_steps_before(records: list[synth.Record]) -> None:
    """Motion, not noise: neighbouring accelerations agree, and the heart rate hardly moves."""
    steps = [_values(record) for record in records if len(record["features"]["ax"]) >= 40]
    steps = [values for values in steps if not (values == 0).all(axis=1).any()]

    def correlation(feature: str) -> float:
        index = synth.FEATURES.index(feature)
        before = np.concatenate([values[:-1, index] for values in steps])
        after = np.concatenate([values[1:, index] for values in steps])
        observed = ~np.isnan(before) & ~np.isnan(after)
        return float(np.corrcoef(before[observed], after[observed])[0, 1])

    assert correlation("ax") > 0.8
    assert correlation("ay") > 0.8
    assert correlation("gz") > 0.8
    assert correlation("heart_rate") > 0.98


def test_gestures_can_be_told_apart_on_other_wearers(records: list[synth.Record]) -> None:
    """The nearest centroid of a few statistics, learnt on every other wearer, beats chance."""
    labelled = [
        record for record in records if "label" in record and len(record["features"]["ax"]) >= 40
    ]
    summaries = np.array([_summary(_values(record)) for record in labelled])
    labels = np.array([record["label"] for record in labelled])
    learn = np.array([int(record["entity_id"][-1]) % 2 == 0 for record in labelled])

    summaries = (summaries - summaries[learn].mean(axis=0)) / summaries[learn].std(axis=0)
    centroids = np.array(
        [summaries[learn & (labels == gesture)].mean(axis=0) for gesture in synth.GESTURES]
    )
    distance = np.linalg.norm(summaries[~learn, None] - centroids, axis=-1)
    guesses = np.array(synth.GESTURES)[distance.argmin(axis=1)]
    assert np.mean(guesses == labels[~learn]) > 0.8  # chance is 0.2


def _summary(values: np.ndarray) -> list[float]:
    """A few statistics of a recording, [T, F] -> [S]."""
    ax, ay, gz = (values[:, synth.FEATURES.index(feature)] for feature in ("ax", "ay", "gz"))
    return [np.log(ax.std()), np.log(ay.std()), gz.mean(), np.log1p(gz.std())]
