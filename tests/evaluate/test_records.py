import numpy as np
import pytest
import tensorflow as tf

from ragline.components.evaluate.baselines import baseline_scores, raw_records
from ragline.components.evaluate.verdict import baseline_model

COLUMNS = ("length_bucket", "label", "grade")


def _record(name: str, length: int, label: bytes | None = None, grade: int | None = None) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    feature["sequence_id"].bytes_list.value.append(name.encode())
    feature["entity_id"].bytes_list.value.append(f"entity {name}".encode())
    feature["length"].int64_list.value.append(length)
    feature["length_bucket"].bytes_list.value.append(b"1" if length == 1 else b"2-3")
    if label is not None:
        feature["label"].bytes_list.value.append(label)
    if grade is not None:
        feature["grade"].int64_list.value.append(grade)
    return example.SerializeToString()


@pytest.fixture
def folder(tmp_path):
    rows = [
        _record("a", 3, b"x", 7),
        _record("b", 1),
        _record("c", 2, b"y", -1),
        _record("d", 1, b"x"),
    ]
    for shard in (0, 1):
        with tf.io.TFRecordWriter(str(tmp_path / f"s-{shard}.gz"), "GZIP") as writer:
            for row in rows[2 * shard : 2 * shard + 2]:
                writer.write(row)
    return str(tmp_path)


def test_records_are_read_with_their_slices(folder):
    [read_records] = raw_records.parts(folder, COLUMNS)
    assert read_records.sequence_ids == [b"a", b"b", b"c", b"d"]
    assert read_records.entities[0] == "entity a"
    assert read_records.lengths.tolist() == [3, 1, 2, 1]
    assert read_records.by_slice() == {
        "overall": [0, 1, 2, 3],
        "length_bucket=2-3": [0, 2],
        "length_bucket=1": [1, 3],
        "label=x": [0, 3],
        "label=y": [2],
        "grade=7": [0],
        "grade=-1": [2],
    }
    assert read_records.take([2, 0]).sequence_ids == [b"c", b"a"]
    assert read_records.take([2, 0]).columns["grade"] == [-1, 7]


def test_a_sample_is_the_same_whatever_the_order_of_the_records(folder, tmp_path_factory):
    [read_records] = raw_records.parts(folder, COLUMNS)
    other = tmp_path_factory.mktemp("other")
    with tf.io.TFRecordWriter(str(other / "s.gz"), "GZIP") as writer:
        for row in reversed(read_records.serialised):
            writer.write(row)
    samples = [raw_records.lowest(str(at), COLUMNS, 2) for at in (folder, other)]
    assert samples[0].sequence_ids == samples[1].sequence_ids
    assert len(samples[0].serialised) == 2


def test_batches_hold_every_record_once_and_are_of_similar_length(folder):
    [read_records] = raw_records.parts(folder, COLUMNS)
    rows = [int(row) for rows, _ in raw_records.batches(read_records) for row in rows]
    assert sorted(rows) == [0, 1, 2, 3]
    assert read_records.lengths[rows].tolist() == [1, 1, 2, 3]


def test_of_an_empty_split_there_is_nothing(tmp_path):
    assert [*raw_records.parts(str(tmp_path), COLUMNS)] == []
    read_records = raw_records.lowest(str(tmp_path), COLUMNS, 3)
    assert read_records.serialised == []
    assert read_records.lengths.dtype == np.int64
    assert read_records.by_slice() == {"overall": []}


@pytest.mark.parametrize("made", ["absent", "damaged"])
def test_a_blessed_model_that_cannot_answer_is_told_and_stops_nothing(folder, tmp_path, made):
    [read_records], path = raw_records.parts(folder, COLUMNS), tmp_path / "7"
    if made == "damaged":
        (path / "assets.extra").mkdir(parents=True)
        (path / "assets.extra" / "encoder.json").write_text('{"features": [{"name": "a"}]}')
        (path / "saved_model.pb").write_bytes(b"no graph")
    newest = baseline_model.BaselineModel(version=7, path=str(path), digest="x")
    state, answer = baseline_scores.score_baseline_model(
        newest, tmp_path, lambda: [read_records], read_records
    )
    assert answer is None
    assert (state["state"], state["version"]) == ("not_compared", 7)
    assert "Error" in state["why"]
    assert "\n" not in state["why"]


def test_a_blessed_model_of_other_columns_is_not_even_loaded(folder, tmp_path):
    [read_records] = raw_records.parts(folder, COLUMNS)
    newest = baseline_model.BaselineModel(version=7, path="gone", digest="x", unlike="it takes b")
    state, answer = baseline_scores.score_baseline_model(
        newest, tmp_path, lambda: [read_records], read_records
    )
    assert (state, answer) == ({"state": "not_compared", "version": 7, "why": "it takes b"}, None)


def test_a_model_is_not_compared_with_itself(folder, tmp_path):
    [read_records] = raw_records.parts(folder, COLUMNS)
    newest = baseline_model.BaselineModel(
        version=7, path="gone", digest=baseline_model.digest(tmp_path)
    )
    state, answer = baseline_scores.score_baseline_model(
        newest, tmp_path, lambda: [read_records], read_records
    )
    assert (state["state"], answer) == ("same", None)
    assert (
        baseline_scores.score_baseline_model(None, tmp_path, lambda: [], read_records)[0]["state"]
        == "first"
    )
