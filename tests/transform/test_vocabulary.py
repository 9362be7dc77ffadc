"""The real preprocessing_fn, run by TensorFlow Transform on Beam, on words and codes."""

from collections.abc import Collection

import events
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_transform.tf_metadata import schema_utils

from ragline.components.contract.columns import Columns

ODD = ["two words", " led by a space", "Prüfung", "tab\there", "0", "broken\nline"]


def _events(activity: Collection[str], code: Collection[int]) -> events.Events:
    return events.Events(
        activity=list(activity),
        code=np.array(code, np.int64),
        amount=np.zeros(len(activity), np.float32),
    )


TRAIN = [
    _events(["b", "b", "b", "a", "a", ""], [-5, -5, -5, 2**62, 2**62, 7]),
    _events([*ODD, "c", "", ""], [7] * 9),
]
EVAL = [_events(["never seen", "a", "", "c", "b", "broken\nline"], [8, -5, 7, 2**62, 0, -7])]


@pytest.fixture(
    scope="module",
    # test_categories.py trains on all words.
    params=[
        pytest.param(100, marks=pytest.mark.full, id="all words"),
        pytest.param(2, id="two words"),
    ],
)
def run(request, tmp_path_factory):
    """Column -> the codes of each sequence of both splits, and Transform's output."""
    folder = tmp_path_factory.mktemp("transform")
    output = events.transform(folder, {"train": TRAIN, "eval": EVAL}, max_tokens=request.param)
    spec = output.transformed_feature_spec()
    codes = {}
    for split in ("train", "eval"):
        records = tf.data.TFRecordDataset(f"{folder}/{split}.gz", "GZIP")
        for record in records:
            parsed = tf.io.parse_single_example(record, spec)
            for name in ("activity", "code"):
                codes.setdefault((split, name), []).append(parsed[name].numpy().tolist())
    return request.param, codes, output


def test_codes_begin_at_0_by_frequency_and_missing_words_have_none(run):
    most, codes, output = run
    if most == 2:  # One code for all words but the two most frequent.
        assert codes["train", "activity"] == [[0, 0, 0, 1, 1, -1], [2] * 7 + [-1, -1]]
        assert codes["train", "code"] == [[1, 1, 1, 2, 2, 0], [0] * 9]
        return
    first, second = codes["train", "activity"]
    assert first == [0, 0, 0, 1, 1, -1]
    *odd, broken, c, missing, again = second
    assert sorted([*odd, c]) == [2, 3, 4, 5, 6, 7]
    assert broken == 8  # It has a place in no text file: the code of the others.
    assert (missing, again) == (-1, -1)
    assert codes["train", "code"] == [[1, 1, 1, 2, 2, 0], [0] * 9]
    words = output.vocabulary_by_name("vocabulary_activity")
    assert words[:2] == [b"b", b"a"]
    assert set(words[2:]) == {word.encode() for word in [*ODD[:-1], "c"]}
    assert output.vocabulary_by_name("vocabulary_code") == [b"7", b"-5", str(2**62).encode()]


def test_words_that_training_has_not_seen_share_one_code(run):
    most, codes, output = run
    sizes = {name: output.vocabulary_size_by_name(f"vocabulary_{name}") for name in events.WORDS}
    assert sizes == {"activity": min(most, 8), "code": min(most, 3)}
    [[never, a, missing, c, b, broken]] = codes["eval", "activity"]
    assert never == broken == sizes["activity"]
    assert (a, missing, b) == (1, -1, 0)
    assert c == (2 if most == 2 else codes["train", "activity"][1][6])
    others = sizes["code"]
    expected = [others, 1, 0, min(2, others), others, others]
    assert codes["eval", "code"] == [expected]


def test_the_graph_codes_raw_examples_alike(run):
    """What is exported with the model."""
    _, codes, output = run
    columns = Columns.from_schema(events.schema())
    spec = schema_utils.schema_as_feature_spec(events.schema()).feature_spec
    names = (*columns.names, *events.WORDS)
    raw = tf.io.parse_example(
        [one.example() for one in TRAIN], {name: spec[name] for name in names}
    )
    transformed = output.transform_features_layer()(raw)
    for name in events.WORDS:
        assert transformed[name].to_list() == codes["train", name]
        assert transformed[name].dtype == tf.int64
