"""`ragline check` on models from elsewhere: exit codes, figures, JSON, and what is no encoder.

A process takes seconds to import TensorFlow, so the command itself runs on few models; what it says
of the others is asked of the function that runs in its process.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection

import keras
import numpy as np
import pytest
import tensorflow as tf
from commands import ROOT, profiled, ragline

from ragline.components.contract import errors
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.push.contract import (
    check,
    clean_process,
    padding_contract,
    stored_weights,
)
from ragline.components.serving import facts
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.options import TrainOptions
from ragline.components.train.padding.textbook_model import TextbookAutoencoder
from ragline.pipeline.cli.main import main

F, E = 3, 5
OPTIONS = TrainOptions(units=8, embedding_size=E)
MEAN = [50.0, 0.1, -1.0]
OF_ENCODE = ["finite", "content", "extra", "alone", "zero_step", "empty", "session"]
DROPPED = "a difference above 1e-06"

Encode = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _export(
    folder: pathlib.Path, model: keras.Model, encode: Encode, features: int | None = F
) -> pathlib.Path:
    def signature(values: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        # The model's own F, where the signature states none.
        return {"embedding": encode(tf.ensure_shape(values, [None, None, F]), length)}

    spec = [
        tf.TensorSpec([None, None, features], tf.float32, "values"),
        tf.TensorSpec([None], tf.int64, "length"),
    ]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("encode", signature, spec)
    archive.write_out(str(folder), verbose=False)
    return folder


def _state(folder: pathlib.Path, names: Collection[str], std: float = 1.0) -> None:
    """Writes the facts of a model whose features have the means MEAN."""
    features = [
        facts.FeatureFacts(name=name, unit=None, allow_missing=True, mean=mean, std=std)
        for name, mean in zip(names, MEAN, strict=False)
    ]
    network = facts.NetworkFacts(
        padding="crop", encoder="lstm", units=8, layers=1, bidirectional=False, decoder="repeat",
        linear_steps=0,
    )  # fmt: skip
    stated = facts.ModelFacts(
        features=tuple(features),
        categories=(),
        heads=(),
        embedding_size=E,
        network=network,
        input=facts.InputFacts(options={}, fields=()),
        weights_sha256=facts.digest_of_weights(stored_weights.read(folder)),
    )
    facts.write(folder, stated)


def _padded(model: MaskedAutoencoder) -> Encode:
    """The encoder as a function of values and length."""
    return lambda values, length: model.encode(SequenceBatch.complete(values, length))


def _standardised(encode: Encode) -> Encode:
    """The encoder behind a standardisation to which NaN is missing, as Transform's is."""

    def call(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        z = (values - MEAN) / 4.0
        return encode(tf.where(tf.math.is_finite(values), z, 0.0), length)

    return call


@pytest.fixture(scope="module")
def masked() -> MaskedAutoencoder:
    keras.utils.set_random_seed(0)
    return MaskedAutoencoder(features=F, options=OPTIONS, portable=True)


@pytest.fixture(scope="module")
def textbook() -> TextbookAutoencoder:
    keras.utils.set_random_seed(0)
    return TextbookAutoencoder(steps=100, features=F, options=OPTIONS, portable=True)


def _violations(model: pathlib.Path) -> list[padding_contract.Violation]:
    return [
        padding_contract.Violation(**found)
        for found in clean_process.check(model, None)["violations"]
    ]


@pytest.fixture
def ragline_check(checked_here, capsys) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`ragline check`, by this process alone."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        code = main(["check", *map(str, arguments)])
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return run


def test_a_sound_encoder_ends_with_0_and_what_was_checked(masked, tmp_path):
    """Where the caller has a package of the same name, too."""
    _export(tmp_path / "model", masked, _padded(masked))
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "__init__.py").write_text("raise SystemExit('not yours')")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = ragline("check", "model", cwd=tmp_path, env=env, anew=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "the padding contract holds: model",
        "encoder     3 features -> 5 numbers",
        "signatures  encode",
        f"clauses     {', '.join(OF_ENCODE)}",
        "probes      10 sequences of 1 to 89 steps, standard normal noise",
    ]


def test_an_encoder_that_reads_padding_ends_with_4_and_its_figures(masked, tmp_path, ragline_check):
    def reads_padding(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return _padded(masked)(values, tf.fill(tf.shape(length), tf.shape(values, tf.int64)[1]))

    model = _export(tmp_path, masked, reads_padding)
    done = ragline_check(model)
    assert (done.returncode, done.stderr) == (4, "")
    verdict, *lines = done.stdout.splitlines()
    assert verdict == f"the padding contract does not hold: {model}"
    violations = [line.strip().split(": ") for line in lines if line.startswith("  ")]
    assert [clause for clause, *_ in violations] == ["content"] * 5 + ["extra", "alone"]
    for clause, where, figure in violations:
        assert where.startswith("encode.embedding, ")
        measured, expected = figure.split(", expected ")
        assert "nan" in where or "inf" in where or float(measured) > 1e-3
        assert expected == (
            "a difference of exactly 0" if clause == "content" else "a difference <= 1e-06"
        )


def test_the_textbook_model_drops_steps_of_zeros_and_json_says_so(
    textbook, tmp_path, ragline_check
):
    done = ragline_check(_export(tmp_path, textbook, _padded(textbook)), "--json")
    assert (done.returncode, done.stderr) == (4, "")
    assert json.loads(done.stdout) == {
        "model": str(tmp_path),
        "violations": [
            {
                "clause": "zero_step",
                "signature": "encode.embedding, one more step of zeros",
                "figure": 0.0,
                "expected": DROPPED,
            }
        ],
        "features": F,
        "categories": [],
        "embedding_size": E,
        "clauses_checked": OF_ENCODE,
        "signatures_checked": ["encode"],
        "probes": "10 sequences of 1 to 89 steps, standard normal noise",
    }


def test_behind_a_standardisation_the_textbook_model_drops_missing_steps(textbook, tmp_path):
    """There a step of zeros is not 0 any more, and one with nothing observed is."""
    [violation] = _violations(_export(tmp_path, textbook, _standardised(_padded(textbook))))
    where = "encode.embedding, one more step with nothing observed"
    assert violation == ("missing_step", where, 0.0, DROPPED)


def test_probes_are_made_from_what_stands_beside_the_encoder(masked, tmp_path):
    model = _export(tmp_path, masked, _standardised(_padded(masked)))
    assert clean_process.check(model, None)["probes"].endswith("steps, standard normal noise")
    _state(model, "abc", std=4.0)
    found = clean_process.check(model, None)
    assert found["violations"] == []
    assert found["clauses_checked"] == [*OF_ENCODE[:5], "missing_step", *OF_ENCODE[5:], "weights"]
    assert found["probes"] == (
        "10 sequences of 1 to 89 steps, noise with the means and stds of encoder.json"
    )


def test_given_probes_are_taken(masked, tmp_path):
    model = _export(tmp_path / "model", masked, _padded(masked))
    file = tmp_path / "probes.npz"
    values = np.random.default_rng(0).normal(size=(7, F)).astype(np.float32)
    np.savez(file, values=values, row_lengths=np.array([2, 5]), names=np.array(["a", "b", "c"]))
    found = clean_process.check(model, file)
    assert found["violations"] == []
    assert found["probes"] == "2 sequences of 2 to 5 steps, given"


def test_signatures_of_the_same_name_with_other_inputs_are_left_alone(masked, tmp_path):
    """Many a SavedModel has a `serving_default` that is something else."""
    module = _Signatures()
    tf.saved_model.save(
        module,
        str(tmp_path),
        signatures={"encode": module.mean_of_steps, "serving_default": module.without_length},
    )
    assert clean_process.check(tmp_path, None)["signatures_checked"] == ["encode"]


def test_a_signature_that_refuses_is_a_violation_and_null_in_json(masked, tmp_path):
    def refuses_nan(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return _padded(masked)(tf.debugging.check_numerics(values, "not finite"), length)

    [violation] = _violations(_export(tmp_path, masked, refuses_nan))
    assert str(violation) == (
        "content: encode: nan, expected an answer, "
        "received InvalidArgumentError: not finite : Tensor had NaN values"
    )
    checked = check.Checked(
        violations=(violation,),
        features=F,
        embedding_size=None,
        clauses_checked=(),
        signatures_checked=(),
        probes="",
    )
    assert checked.to_dict(tmp_path)["violations"][0]["figure"] is None
    json.dumps(checked.to_dict(tmp_path), allow_nan=False)
    assert "encoder     3 features -> ? numbers" in checked.to_text(tmp_path)


def test_a_model_that_a_session_cannot_load_is_a_violation(masked, tmp_path):
    """tf.saved_model.save of a Keras 3 model: a session does not find its variables."""
    module = tf.Module()
    module.model = masked
    spec = [tf.TensorSpec([None, None, F]), tf.TensorSpec([None], tf.int64)]
    module.encode = tf.function(
        lambda values, length: {"embedding": _padded(masked)(values, length)}, input_signature=spec
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"encode": module.encode})
    [violation] = _violations(tmp_path)
    assert violation.clause == "session"
    assert "FailedPreconditionError: Could not find variable" in violation.expected


class _Signatures(tf.Module):
    """Models of one operation."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, F]), tf.TensorSpec([None], tf.int32)])
    def mean_of_steps(self, values, length):
        """Sound; a foreign model may want int32."""
        ragged = tf.RaggedTensor.from_tensor(values, length)
        return {"embedding": tf.reduce_mean(ragged, 1)}

    @tf.function(input_signature=[tf.TensorSpec([None, 7, F]), tf.TensorSpec([None], tf.int64)])
    def of_7_steps(self, values, length):
        return {"embedding": tf.reduce_sum(values, 1)}

    @tf.function(input_signature=[tf.TensorSpec([None, None, F])])
    def without_length(self, values):
        return {"embedding": tf.reduce_sum(values, 1)}


def test_a_model_without_encode_ends_with_2_and_one_line(tmp_path, ragline_check):
    module = _Signatures()
    signatures = {"serving_default": module.without_length}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    done = ragline_check(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{tmp_path}: expected a signature 'encode', received ['serving_default']\n"
    )


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("of_7_steps", "length (None,), values (None, 7, 3) -> embedding (None, 3)"),
        ("without_length", "values (None, None, 3) -> embedding (None, 3)"),
    ],
)
def test_an_encode_that_is_something_else_is_named(tmp_path, name, received):
    module = _Signatures()
    tf.saved_model.save(module, str(tmp_path), signatures={"encode": getattr(module, name)})
    with pytest.raises(errors.NoEncoderError) as raised:
        clean_process.check(tmp_path, None)
    wanted = "expected values [B, T, F] and length [B] -> embedding [B, E] with any B and T"
    assert str(raised.value) == f"signature 'encode': {wanted}, received {received}"


def test_the_number_of_features_must_be_known(masked, tmp_path):
    model = _export(tmp_path, masked, _padded(masked), features=None)
    sentence = "values [B, T, F] states no F, and there is no assets.extra/encoder.json"
    with pytest.raises(errors.NoEncoderError, match=re.escape(sentence)):
        clean_process.check(model, None)
    _state(model, "abc")
    assert clean_process.check(model, None)["features"] == F


OLDER = "received those of another; an older ragline pushed the model: train and push again"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda stated: {"features": stated["features"]}, OLDER),
        (lambda stated: stated | {"version": 0}, OLDER),
        (lambda stated: stated | {"version": 9}, "received 9: a later ragline wrote it; use that"),
        (lambda stated: stated | {"embedding_size": "5"}, "something else (embedding_size: "),
        (lambda stated: [], "received something else (AttributeError"),
    ],
)
def test_facts_of_another_format_are_named_with_what_to_do(masked, tmp_path, change, sentence):
    model = _export(tmp_path, masked, _padded(masked))
    _state(model, "abc")
    file = model / ENCODER_FILE
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    expected = f"{ENCODER_FILE}: expected the facts that ragline exports beside a model, format 4 "
    with pytest.raises(errors.NoEncoderError) as raised:
        clean_process.check(model, None)
    assert str(raised.value).startswith(expected)
    assert sentence in str(raised.value)


def test_facts_of_other_features_are_named(masked, tmp_path):
    model = _export(tmp_path, masked, _padded(masked))
    _state(model, "a")
    sentence = "encoder.json: expected the 3 features of signature 'encode', received 1"
    with pytest.raises(errors.NoEncoderError, match=sentence):
        clean_process.check(model, None)
    (model / ENCODER_FILE).write_text("{")
    with pytest.raises(errors.NoEncoderError, match="received something else"):
        clean_process.check(model, None)


def test_a_broken_saved_model_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    with pytest.raises(errors.NoEncoderError, match=r"^no SavedModel that can be loaded: ValueE"):
        clean_process.check(tmp_path, None)


def test_what_is_no_saved_model_is_refused_without_tensorflow(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for path, received in ((file, "a file"), (tmp_path, "a folder without"), ("none", "nothing")):
        done = profiled(sys.executable, "-m", "ragline", "check", path)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == (
            f"{path}: expected a SavedModel, a folder with saved_model.pb, received {received}\n"
        )
        assert "ragline.pipeline" in done.imports and "tensorflow" not in done.imports


def test_a_process_that_has_imported_waits_for_the_next_check_and_says_the_same(masked, tmp_path):
    """The one after it has a process of its own again, and nobody is left."""
    model = _export(tmp_path / "model", masked, _padded(masked))
    with check.prepared() as prepare:
        prepare()
        [process] = check._waiting
        first, second = check.check(model), check.check(model)
        assert (process.returncode, check._waiting) == (0, [])
    assert first == second


def test_a_process_that_waits_is_ended_with_what_it_waits_for_and_one_that_died_is_not_asked():
    with check.prepared() as prepare:
        prepare()
        [process] = check._waiting
    assert (process.returncode, check._waiting) == (-signal.SIGKILL, [])
    with check.prepared() as prepare:
        prepare()
        check._waiting[0].kill()
        check._waiting[0].wait()
        assert check._take_waiting() is None


def test_a_process_that_waits_ends_by_itself_when_nobody_can_ask_it_any_more():
    with check.prepared() as prepare:
        prepare()
        [process] = check._waiting
        answer, _ = process.communicate()
        assert (process.returncode, answer) == (0, "")


def test_the_check_needs_tensorflow_alone():
    """No training code, no Keras and no Transform, as a server has none of them."""
    done = profiled(sys.executable, "-m", "ragline.components.push.contract.clean_process", "none")
    assert done.exit_code == 0, done.stderr
    assert "error" in json.loads(done.stdout)
    assert "tensorflow" in done.imports
    assert not done.imports & {
        "ragline.components.train",
        "keras",
        "tf_keras",
        "pandas",
        "tfx",
        "tensorflow_transform",
        "apache_beam",
    }
