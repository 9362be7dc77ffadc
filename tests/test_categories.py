"""Categorical steps from records to a checked encoder: Transform, run_fn, export, the contract."""

import dataclasses
import shutil

import events
import numpy as np
import pytest
import tensorflow as tf
from sampled_events import OPTIONS, SPLITS, kept

from ragline.components.contract import errors
from ragline.components.contract.columns import Columns
from ragline.components.push.contract import clean_process, probes
from ragline.components.serving import facts

COLUMNS = Columns.from_schema(events.schema())
CLAUSES = {"finite", "content", "extra", "alone", "zero_step", "missing_step", "word", "signature"}


@pytest.fixture(scope="module")
def signatures(events_model):
    return tf.saved_model.load(str(events_model.model)).signatures


def _words(name: str, made: list[events.Events]) -> np.ndarray:
    """Those that are there."""
    words = np.concatenate([getattr(one, name) for one in made])
    return words[words != ""] if name == "activity" else words


def _padded(made: list[events.Events], extra: int = 0, word: str = "", code: int = 0):
    """The inputs of `encode`, with so many padded steps more and that content in them."""
    length = np.array([len(one.code) for one in made], np.int64)
    shape = (len(made), int(length.max()) + extra)
    values = np.full((*shape, 1), np.nan, np.float32)
    activity, codes = np.full(shape, word.encode(), object), np.full(shape, code, np.int64)
    for row, one in enumerate(made):
        values[row, : len(one.code), 0] = one.amount
        activity[row, : len(one.code)] = [text.encode() for text in one.activity]
        codes[row, : len(one.code)] = one.code
    return {
        "values": tf.constant(values),
        "length": tf.constant(length),
        "activity": tf.constant(activity, tf.string),
        "code": tf.constant(codes),
    }


def test_the_model_learns_more_of_a_word_than_its_share(events_model):
    for name in events.WORDS:
        _, counts = np.unique(_words(name, SPLITS["eval"]), return_counts=True)
        shares = counts / counts.sum()
        entropy = -(shares * np.log(shares)).sum()
        metrics = events_model.training["categories"][name]
        assert metrics["eval_cross_entropy"] < 0.8 * entropy
        assert metrics["eval_accuracy"] > 1.5 * shares.max()
    first, *_, last = events_model.training["history"]
    for name in events.WORDS:
        before, after = (epoch["categories"][name]["cross_entropy"] for epoch in (first, last))
        assert after < before
    assert events_model.training["vocabularies"] == {"activity": 7, "code": 5}


def test_the_vocabularies_travel_with_the_model(events_model):
    activity, code = COLUMNS.categories
    vocabulary = probes.vocabulary(events_model.model, activity)
    assert {word.decode() for word in vocabulary} == set(events.NEXT)
    vocabulary = probes.vocabulary(events_model.model, code)
    assert set(map(int, vocabulary)) == set(events.CODES.values())


def test_the_signatures_take_words_under_the_columns_names(signatures):
    def told(name: str) -> dict[str, tuple]:
        inputs = signatures[name].structured_input_signature[1]
        return {key: (*inputs[key].shape, inputs[key].dtype.name) for key in inputs}

    padded = {
        "values": (None, None, 1, "float32"),
        "length": (None, "int64"),
        "activity": (None, None, "string"),
        "code": (None, None, "int64"),
    }
    assert told("encode") == told("score") == padded
    assert told("encode_flat") == {
        "values": (None, 1, "float32"),
        "row_lengths": (None, "int64"),
        "activity": (None, "string"),
        "code": (None, "int64"),
    }
    assert told("serving_default") == told("evaluate") == {"examples": (None, "string")}


def test_every_signature_gives_the_same_whatever_stands_in_the_padding(signatures):
    made = SPLITS["eval"][:20]
    expected = signatures["encode"](**_padded(made))["embedding"].numpy()
    assert expected.shape == (20, OPTIONS.embedding_size)
    for word, code in (("register", 40), ("no such word", 2**63 - 1), ("", -(2**63))):
        inputs = _padded(made, extra=5, word=word, code=code)
        for name in ("encode", "score"):
            answer = signatures[name](**inputs)["embedding"]
            np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-6)
    inputs = _padded(made)
    valid = tf.sequence_mask(inputs["length"])
    flat = {name: tf.boolean_mask(inputs[name], valid) for name in ("values", *events.WORDS)}
    answer = signatures["encode_flat"](**flat, row_lengths=inputs["length"])["embedding"]
    np.testing.assert_array_equal(answer, expected)
    examples = tf.constant([one.example() for one in made])
    answer = signatures["serving_default"](examples=examples)["embedding"]
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("name", events.WORDS)
def test_another_word_is_another_embedding(signatures, name):
    made = SPLITS["eval"][:20]
    inputs = _padded(made)
    first = np.arange(inputs["values"].shape[1]) == 0
    other = {"activity": b"pay", "code": 40}[name]
    changed = inputs | {name: tf.where(first, other, inputs[name])}
    one, two = (signatures["encode"](**each)["embedding"].numpy() for each in (inputs, changed))
    differs = (inputs[name] != changed[name]).numpy().any(axis=1)
    assert 0 < differs.sum() < 20
    assert (np.abs(one - two).max(axis=1)[differs] > 1e-4).all()
    np.testing.assert_array_equal(one[~differs], two[~differs])


def test_words_for_other_steps_than_the_values_are_refused(signatures):
    inputs = _padded(SPLITS["eval"][:3])
    inputs["code"] = inputs["code"][:, 1:]
    message = "code: expected a word for each step of values"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["encode"](**inputs)


def test_evaluate_returns_the_sums_that_training_reports(events_model, signatures):
    """Of each sequence, in float64, on raw examples; together they are what run_fn counted."""
    made = [SPLITS["eval"][row] for row in kept("eval")]
    returned = signatures["evaluate"](examples=tf.constant([one.example() for one in made]))
    sums = {name: total.numpy() for name, total in returned.items()}
    assert {total.dtype for total in sums.values()} == {np.dtype(np.float64)}
    # Of each sequence one number, or one of each feature, of which there is one.
    assert {total.size for total in sums.values()} == {len(made)}
    expected = events_model.training["sums"]["eval"]
    assert {name: total.sum() for name, total in sums.items()} == pytest.approx(expected, rel=1e-5)
    assert sums["finite_sequences"].sum() == len(made)
    for name in events.WORDS:
        observed = [len(_words(name, [one])) for one in made]
        assert sums[f"category_{name}_observed"].tolist() == observed
        metrics = events_model.training["categories"][name]
        entropy = sums[f"category_{name}_cross_entropy"].sum() / sum(observed)
        assert entropy == pytest.approx(metrics["eval_cross_entropy"], rel=1e-5)
        right = sums[f"category_{name}_right"].sum() / sum(observed)
        assert right == pytest.approx(metrics["eval_accuracy"], rel=1e-5)


def test_the_reconstruction_error_is_that_of_the_values_alone(signatures):
    made = SPLITS["eval"][:30]
    examples = tf.constant([one.example() for one in made])
    sums = signatures["evaluate"](examples=examples)
    score = signatures["score"](**_padded(made))["reconstruction_error"].numpy()
    squares = sums["model_squared_error"].numpy().sum(axis=-1)
    values = sums["values"].numpy()
    expected = np.divide(squares, values, out=np.zeros(len(made)), where=values > 0)
    np.testing.assert_allclose(score, expected, rtol=1e-6)


def test_the_padding_contract_holds(events_model, tmp_path):
    """On given probes by all signatures; push/test_exports.py has made ones."""
    file = tmp_path / "probes.npz"
    records = [one.example() for one in SPLITS["eval"][:40]]
    decoded = probes.decode(records, COLUMNS.names, COLUMNS.categories)
    probes.save(file, probes.choose(decoded), COLUMNS.names, COLUMNS.categories)
    checked = clean_process.check(events_model.model, file)
    assert checked["violations"] == []
    assert set(checked["clauses_checked"]) > CLAUSES
    every = ["encode", "encode_flat", "evaluate", "score", "serving_default"]
    assert checked["signatures_checked"] == every
    assert checked["categories"] == list(events.WORDS)
    model = shutil.copytree(events_model.model, tmp_path / "model")
    facts.write(model, dataclasses.replace(facts.read(model), categories=()))
    message = r"the categories of signature 'encode', \['activity', 'code'\], received none"
    with pytest.raises(errors.NoEncoderError, match=message):
        clean_process.check(model, None)
