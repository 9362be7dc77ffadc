"""What an exported encoder says to requests that are hard, and how the check sees a wrong answer.

The first half is about the export's own guards: each test fails if its guard is taken out.
"""

import json
import pathlib

import commands
import numpy as np
import pytest
import tensorflow as tf
from push import clean_exports

from benchmarks import serving
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.push.contract import clean_process, hard_requests, probes
from ragline.components.push.contract.padding_contract import UnansweredError
from ragline.components.push.contract.sequences import Probe

F = 6
CLAUSES = {
    "memory": ["encode_flat"],
    "unobserved": ["encode", "score", "encode_flat", "serving_default"],
    "extreme": ["encode", "score", "encode_flat", "serving_default"],
    "stated_length": ["serving_default", "evaluate"],
}


@pytest.fixture(scope="module")
def loaded(encoder):
    return tf.saved_model.load(str(encoder))


@pytest.fixture(scope="module")
def names(encoder) -> list[str]:
    facts = json.loads((encoder / ENCODER_FILE).read_text(encoding="utf-8"))
    return [feature["name"] for feature in facts["features"]]


def _values(steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, F)).astype(np.float32)


def _score(loaded, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embedding [B, E] and error [B] of sequences of T steps each, [B, T, F]."""
    length = tf.fill([len(values)], tf.constant(values.shape[1], tf.int64))
    outputs = loaded.signatures["score"](values=tf.constant(values), length=length)
    return outputs["embedding"].numpy(), outputs["reconstruction_error"].numpy()


def test_a_sequence_in_which_nothing_was_observed_has_no_error(loaded):
    """0 would be the best error there is; the sequences beside it have theirs."""
    nothing, something = np.full((5, F), np.nan, np.float32), _values(5)
    one_value = nothing.copy()
    one_value[3, 2] = 0.5
    embedding, error = _score(loaded, np.stack([nothing, something, one_value]))
    assert np.isfinite(embedding).all()
    assert np.isnan(error).tolist() == [True, False, False]
    assert (error[1:] > 0).all()


@pytest.mark.parametrize("number", [np.inf, -np.inf])
def test_an_infinite_value_counts_as_missing(loaded, number):
    values = np.stack([_values(9), _values(9)])
    values[0, 4, 1], values[1, 4, 1] = number, np.nan
    embedding, error = _score(loaded, values)
    assert embedding[0].tobytes() == embedding[1].tobytes()
    assert np.isfinite(error).all() and error[0] == error[1]


@pytest.mark.parametrize("number", [3e38, -3e38, 3.4028235e38])
def test_values_near_the_end_of_float32_have_a_finite_embedding(loaded, number):
    """Wherever they stand: alone, in every step, in every feature."""
    values = np.stack([_values(9)] * 4)
    values[0, 4, 1] = values[1, :, 1] = values[2, 4] = number
    values[3] = number
    embedding, _ = _score(loaded, values)
    assert np.isfinite(embedding).all()
    flat = {"values": tf.constant(values.reshape(-1, F)), "row_lengths": [9] * 4}
    assert np.isfinite(loaded.signatures["encode_flat"](**flat)["embedding"]).all()


def _stating(names, stated: int | None) -> tf.Tensor:
    """tf.Examples of three sequences, of which the second states its length."""
    sequences = [Probe(values=_values(steps)) for steps in (3, 5, 2)]
    examples = [
        tf.train.Example.FromString(record) for record in probes.encode(sequences, names).tolist()
    ]
    if stated is not None:
        examples[1].features.feature["length"].int64_list.value.append(stated)
    return tf.constant([example.SerializeToString() for example in examples])


@pytest.mark.parametrize("name", ["serving_default", "evaluate"])
def test_a_length_that_contradicts_its_columns_is_an_error(loaded, names, name):
    signature = loaded.signatures[name]
    without = signature(examples=_stating(names, None))
    stated = signature(examples=_stating(names, 5))
    for key, tensor in without.items():
        np.testing.assert_array_equal(tensor, stated[key])
    for wrong in (0, 4, 6, -1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="length: expected the number of"):
            signature(examples=_stating(names, wrong))


@pytest.fixture(scope="module")
def exported(loaded, names):
    """What `hard_requests` takes: signatures, probes, and how they become tf.Examples."""
    signatures = {key: clean_process._numpy(each) for key, each in loaded.signatures.items()}
    sequences = probes.make([0.0] * F, [1.0] * F)
    return signatures, sequences, lambda some: probes.encode(some, names)


def test_an_exported_encoder_answers_all_of_them(exported):
    assert hard_requests.applicable(*exported) == CLAUSES
    assert hard_requests.violations(*exported) == []


def test_a_push_demands_it_and_a_check_does_not(encoder):
    strict = clean_process.check(encoder, None, strict=True)
    assert strict["violations"] == []
    assert set(CLAUSES) | {"empty"} <= set(strict["clauses_checked"])
    assert not set(CLAUSES) & set(clean_process.check(encoder, None)["clauses_checked"])


def _wrong(clause: str, sound):
    """A signature that does wrong in the way of a clause, around a sound one."""

    def memory(**inputs):
        taken = np.ones(30_000_000, np.float32)
        return {key: array * taken[0] for key, array in sound(**inputs).items()}

    def unobserved(**inputs):
        return {key: np.nan_to_num(array) for key, array in sound(**inputs).items()}

    def extreme(**inputs):
        outputs = sound(**inputs)
        if np.nanmax(np.abs(inputs["values"])) > 1e38:
            outputs["embedding"][0, 0] = np.inf
        return outputs

    def stated_length(examples):
        parsed = [tf.train.Example.FromString(record) for record in examples]
        for example in parsed:
            example.features.feature.pop("length", None)
        records = [example.SerializeToString() for example in parsed]
        return sound(examples=np.array(records, object))

    return locals()[clause]


@pytest.mark.parametrize(
    ("clause", "name", "figure"),
    [
        ("memory", "encode_flat", 120e6),
        ("unobserved", "score", 0.0),
        ("extreme", "encode", None),
        ("stated_length", "serving_default", 1.0),
    ],
)
def test_a_wrong_answer_is_a_violation_of_its_clause(exported, monkeypatch, clause, name, figure):
    monkeypatch.setattr(hard_requests, "MOST_BYTES", 100_000_000)
    signatures, *others = exported
    wrong = {**signatures, name: _wrong(clause, signatures[name])}
    violations = hard_requests.violations(wrong, *others)
    assert {violation.clause for violation in violations} == {clause}
    assert all(violation.signature.startswith(name) for violation in violations)
    if figure is not None:
        assert violations[0].figure == pytest.approx(figure, rel=0.2)


def test_the_request_itself_takes_no_memory_that_would_be_the_encoders():
    """Of 200 features, 500 sequences padded to 5,000 steps would be 2 GB."""
    wide = Probe(
        values=np.zeros((3, 200), np.float32), words={"word": np.array([b"a"] * 3, object)}
    )
    requests = []

    def encode_flat(values, word, row_lengths):
        requests.append((values.shape, word.shape, row_lengths.sum()))
        return {"embedding": np.zeros((len(row_lengths), 2), np.float32)}

    assert hard_requests.violations({"encode_flat": encode_flat}, [wide]) == []
    steps = (hard_requests.SEQUENCES - 1) * hard_requests.SHORT + hard_requests.LONGEST
    assert requests[0] == ((steps, 200), (steps,), steps)


def test_what_is_refused_is_no_violation_but_of_memory(exported):
    def refuses(**inputs):
        raise UnansweredError("InvalidArgumentError: not finite")

    signatures, *others = exported
    [violation] = hard_requests.violations(dict.fromkeys(signatures, refuses), *others)
    assert violation.clause == "memory"
    assert "an answer, received InvalidArgumentError" in violation.expected


@pytest.fixture(scope="module")
def of_64_units(tmp_path_factory):
    """The default size, with its facts, for the requests of the benchmark."""
    folder = tmp_path_factory.mktemp("of_64_units")
    transform = clean_exports.transform_output("gestures", folder / "transform")
    size = {"units": 64, "embedding_size": 32}
    model = clean_exports.write("gestures", transform, folder / "model", **size)
    return model


@pytest.mark.full
@pytest.mark.parametrize("name", ["encode_flat", "serving_default"])
@pytest.mark.parametrize("mix", serving.MIXES)
def test_a_request_takes_20_times_its_bytes_and_50_mb(of_64_units, name, mix):
    """In a process of its own, whose memory nothing else has grown."""
    process = commands.Started(_print_figures, of_64_units, name, mix)
    out, said = process.communicate()
    assert process.returncode == 0, said
    figures = json.loads(out.splitlines()[-1])
    assert figures["peak"] <= serving.allowed(figures["request"]), figures


def _print_figures(model: pathlib.Path, name: str, mix: str) -> int:
    print(json.dumps(serving.measure(model, name, mix)), flush=True)
    return 0
