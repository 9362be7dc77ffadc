"""Real exports: what they are made of, which are equal, and which are refused."""

import dataclasses
import functools
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import events
import numpy as np
import pytest
import tensorflow as tf
from commands import Started, finish
from push import clean_exports, hostile, runtimes
from tensorflow.core.protobuf import saved_model_pb2

from ragline.components.contract.signatures import ENCODER_FILE, WEIGHTS_FILE
from ragline.components.files.storage import sha256
from ragline.components.push.contract import (
    check,
    clean_process,
    golden,
    graph,
    probes,
    stored_weights,
)
from ragline.components.push.release import ledger, release_version, rollback, transaction
from ragline.components.serving import facts
from ragline.components.serving.fast import fast_encoder, read_network, weights
from ragline.pipeline.cli.main import main

NAMES = ("ax", "ay", "az", "gz", "heart_rate", "saturation")


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> dict[str, list[pathlib.Path]]:
    """Every clean export, by schema."""
    models = {}
    for model in clean_exports.every(tmp_path_factory.mktemp("exports")):
        models.setdefault(model.parent.name, []).append(model)
    return models


@pytest.fixture(scope="module")
def model(exports) -> pathlib.Path:
    return exports["gestures"][0]


@pytest.fixture(scope="module")
def probes_file(tmp_path_factory) -> pathlib.Path:
    file = tmp_path_factory.mktemp("probes") / "probes.npz"
    probes.save(file, probes.make([0.0] * len(NAMES), [1.0] * len(NAMES)), NAMES)
    return file


@pytest.fixture(scope="module")
def pushed(exports, tmp_path_factory) -> pathlib.Path:
    """A folder with two versions as a push leaves them that has checked them, and their ledger."""
    folder = tmp_path_factory.mktemp("pushed")
    for number, each in enumerate(exports["gestures"][:2], start=1):
        staged = transaction.stage(each, folder / "serving")
        assert release_version.release(staged, _source(each)).number == number
    return folder


@pytest.fixture
def serving(pushed, tmp_path) -> pathlib.Path:
    """A copy of both versions."""
    return pathlib.Path(shutil.copytree(pushed, tmp_path / "pushed")) / "serving"


def fingerprint(model: pathlib.Path) -> str:
    return facts.read(model).fingerprint


def _source(model: pathlib.Path) -> release_version.ModelSource:
    return release_version.ModelSource(
        fingerprint=fingerprint(model), run_id="run", reasons=("good",), source=str(model)
    )


def _push(model, serving, probes_file) -> release_version.PushResult:
    facts_of_push = {"pipeline": "p"}
    return release_version.push(
        model, serving, _source(model), probes=probes_file, facts=facts_of_push
    )


def _copy(model: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(model, folder))


def _save(folder: pathlib.Path, function) -> pathlib.Path:
    """A model whose one signature is a function of its one number."""
    module = tf.Module()
    module.f = tf.function(function, input_signature=[tf.TensorSpec([], tf.float32, "x")])
    tf.saved_model.save(module, str(folder), signatures={"encode": module.f})
    return folder


def test_the_committed_list_is_what_clean_exports_are_made_of(exports):
    models = [model for models in exports.values() for model in models]
    assert clean_exports.derive(models) == graph.OPS_FILE.read_text(encoding="utf-8")
    assert all(graph.foreign_ops(model) == [] for model in models)


def test_nothing_on_the_list_reaches_out_of_a_model_but_the_saver():
    models, loaders, savers = graph.allowed()
    assert {op for op in models if graph.REACHES_OUT.search(op)} == set()
    assert {op for op in savers if graph.REACHES_OUT.search(op)} == {
        "SaveV2", "RestoreV2", "MergeV2Checkpoints", "DisableCopyOnRead", "ShardedFilename",
    }  # fmt: skip
    assert loaders == {"AssignVariableOp", "InitializeTableFromTextFileV2"}


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("ReadFile", lambda x: {"y": tf.io.read_file(tf.strings.as_string(x))}),
        ("WriteFile", lambda x: {"y": [x, tf.io.write_file("f", "content")][0]}),
        ("EagerPyFunc", lambda x: {"y": tf.py_function(lambda v: v, [x], tf.float32)}),
        ("PyFunc", lambda x: {"y": tf.numpy_function(lambda v: v, [x], tf.float32)}),
        ("ReadFile", lambda x: {"y": tf.cond(x > 0, lambda: tf.io.read_file("f"), lambda: "")}),
    ],
)  # fmt: skip
def test_an_operation_that_reaches_out_is_found_and_the_model_not_loaded(tmp_path, op, function):
    model = _save(tmp_path / "model", function)
    assert f"graph, {op}" in {violation.signature for violation in graph.foreign_ops(model)}
    report = clean_process.check(model, None, strict=True)
    assert report["clauses_checked"] == ["ops"]
    assert report["probes"] == "none; the model was not loaded"


def test_a_signature_may_not_reach_what_the_saver_may(tmp_path):
    def restores(x):
        return {"y": tf.raw_ops.RestoreV2(
            prefix="f", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0]}  # fmt: skip

    violations = graph.foreign_ops(_save(tmp_path / "model", restores))
    assert [
        str(violation) for violation in violations if violation.signature.startswith("signatures")
    ] == ["ops: signatures, RestoreV2: 1, expected no operation of the saver"]


def test_a_resource_whose_initialiser_would_write_a_file_is_seen_and_not_loaded(tmp_path):
    """Without the signature by which a session's loader runs it, too: Python's needs none."""
    model = hostile.writes_when_loaded(tmp_path)
    file = model / "saved_model.pb"
    content = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    del content.meta_graphs[0].signature_def["__saved_model_init_op"]
    file.write_bytes(content.SerializeToString())
    before = {*tmp_path.rglob("*")}
    found = check.check(model)
    assert [violation.signature for violation in found.violations] == ["beside the saver, SaveV2"]
    assert found.clauses_checked == ("ops",)
    assert {*tmp_path.rglob("*")} == before


def test_equal_models_have_one_fingerprint_in_every_process(exports, model, tmp_path):
    """Others than this one: with their own order of sets, and their own number of functions."""
    folders = (model.parent / "transform", tmp_path / "same")
    done = finish(Started(clean_exports.show_fingerprints, *folders))
    assert done.returncode == 0, done.stderr
    other, same = done.stdout.split()
    assert same == fingerprint(model)
    files = ("saved_model.pb", "variables/variables.data-00000-of-00001")
    assert all(
        (model / file).read_bytes() != (tmp_path / "same" / file).read_bytes() for file in files
    ), "equal bytes would prove nothing"
    models = [model for models in exports.values() for model in models]
    assert len({other, *map(fingerprint, models)}) == len(models) + 1


def test_other_weights_and_another_transform_have_another_fingerprint(model, tmp_path):
    same = clean_exports.tft.TFTransformOutput(str(model.parent / "transform"))
    other = clean_exports.transform_output("gestures", tmp_path / "transform", seed=1)
    made, weights, scaled = (
        clean_exports.fingerprint("gestures", transform, seed=seed)
        for transform, seed in ((same, 0), (same, 1), (other, 0))
    )
    assert made == fingerprint(model)
    assert len({made, weights, scaled}) == 3


@pytest.mark.parametrize("name", ["index", "data-00000-of-00001"])
def test_variables_that_lack_a_file_or_half_of_it_are_not_those_stated(model, tmp_path, name):
    path = _copy(model, tmp_path / "model") / "variables" / f"variables.{name}"
    path.write_bytes(path.read_bytes()[:50])
    for _ in range(2):
        [violation] = stored_weights.violations(tmp_path / "model", facts.read(model))
        assert (violation.clause, violation.signature) == ("weights", "variables")
        assert "received" in violation.expected
        path.unlink(missing_ok=True)


def test_the_weights_in_memory_and_in_the_file_have_the_digest_that_is_stated(exports):
    for models in exports.values():
        for model in models:
            stated = facts.read(model)
            assert facts.digest_of_weights(stored_weights.read(model)) == stated.weights_sha256
            assert stored_weights.violations(model, stated) == []


def test_weights_that_are_not_those_stated_are_a_violation(model, tmp_path):
    """Also where the change is so small that the golden inputs do not see it."""
    stated, weights = facts.read(model), stored_weights.read(model)
    nudged = np.nextafter(weights["code/bias"], np.float32(9))
    other = facts.digest_of_weights(weights | {"code/bias": nudged})
    copy = _copy(model, tmp_path / "model")
    facts.write(copy, dataclasses.replace(stated, weights_sha256=other))
    violations = clean_process.check(copy, None, strict=True)["violations"]
    assert [(violation["clause"], violation["signature"]) for violation in violations] == [
        ("weights", "variables"),
        ("weights", WEIGHTS_FILE),
    ]
    for violation in violations:
        assert violation["expected"].endswith(f"{other}, received {stated.weights_sha256}")


def test_a_model_with_categories_passes_as_strictly_and_is_equal_to_its_like(exports, tmp_path):
    """Its tables of words are filled from its assets, when it is loaded."""
    model = exports["events"][0]
    report = clean_process.check(model, None, strict=True)
    assert report["violations"] == []
    assert {"word", "golden", "ops"} <= set(report["clauses_checked"])
    every = ["encode", "encode_flat", "evaluate", "score", "serving_default"]
    assert report["signatures_checked"] == every
    transform = clean_exports.tft.TFTransformOutput(str(model.parent / "transform"))
    assert clean_exports.fingerprint("events", transform) == fingerprint(model)
    again = _copy(model, tmp_path / "again")
    words = again / "assets" / "vocabulary_code"
    words.write_bytes(words.read_bytes().replace(b"40", b"41"))
    violations = clean_process.check(again, None, strict=True)["violations"]
    assert {violation["clause"] for violation in violations} == {"golden", "weights"}


def test_where_no_value_can_be_missing_a_sequence_of_nothing_else_has_no_error_either(exports):
    """There, each value counts for the metrics; 12 zeros a step would be a good error."""
    model = exports["japanese_vowels"][0]
    values = np.random.default_rng(0).normal(size=(3, 4, 12)).astype(np.float32)
    values[0], values[1, 2:] = np.nan, np.inf
    inputs = {"values": tf.constant(values), "length": tf.constant([4, 2, 4], tf.int64)}
    outputs = tf.saved_model.load(str(model)).signatures["score"](**inputs)
    assert np.isfinite(outputs["embedding"]).all()
    assert np.isnan(outputs["reconstruction_error"]).tolist() == [True, False, False]
    assert clean_process.check(model, None, strict=True)["violations"] == []


def test_golden_inputs_are_answered_by_their_model_and_by_no_other(exports, model, tmp_path):
    records = json.loads((model / golden.GOLDEN_FILE).read_text())["records"]
    assert len(records) == 5
    embeddings = np.array([record["embedding"] for record in records])
    assert np.isfinite(embeddings).all() and len({row.tobytes() for row in embeddings}) == 5
    for each in exports["gestures"]:
        serve = clean_process._numpy(tf.saved_model.load(str(each)).signatures["serving_default"])
        assert golden.violations(each, serve) == []
        if each != model:
            [violation] = golden.violations(model, serve)
            assert violation.clause == "golden" and violation.figure > 1e-3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "golden.json with records, received JSONDecodeError"),
        ('{"records": [{"examples": "?"}]}', "golden.json with records, received Error"),
        ('{"records": [{"examples": "AAAA", "embedding": [1.0, null, 0.0]}]}', "an answer"),
        ('{"records": []}', "a difference <= 1e-06"),
    ],
)
def test_golden_inputs_that_say_something_else_do_not_hold(model, tmp_path, text, sentence):
    copy = _copy(model, tmp_path / "model")
    (copy / golden.GOLDEN_FILE).write_text(text)
    serve = clean_process._numpy(tf.saved_model.load(str(copy)).signatures["serving_default"])
    [violation] = golden.violations(copy, serve)
    assert sentence in violation.expected
    [without] = golden.violations(copy, None)
    assert "there is no such signature" in without.expected


def test_a_push_a_rollback_and_what_a_run_does_then(
    exports, model, probes_file, serving, checked_here
):
    other = exports["gestures"][1]
    again = _push(other, serving, probes_file)
    assert again.version.number == 2
    assert again.notes == ("version 2 is the newest and holds this very model: not pushed again",)

    back = rollback.rollback(serving, why="it drifts", to=None, keep=5)
    assert (back.to, back.version.number, back.withdrawn) == (1, 3, (2,))
    assert ledger.newest(serving).fingerprint == fingerprint(model)
    [refusal] = _push(other, serving, probes_file).refusals
    assert "version 2 held this very model and was rolled back (it drifts)" in refusal
    assert "`ragline rollback --to 2`" in refusal
    with pytest.raises(rollback.NoVersionError, match="not withdrawn, received none"):
        rollback.rollback(serving, why="once more", to=None, keep=5)

    forth = rollback.rollback(serving, why="it does not", to=2, keep=2)
    assert (forth.version.number, forth.withdrawn) == (4, (1, 3))
    assert [version.number for version in ledger.versions(serving)] == [3, 4]
    assert [bool(entry.withdrawn) for entry in ledger.read(serving)] == [True, False, True, False]


def test_a_version_of_an_older_ragline_is_not_rolled_back_to(serving, checked_here):
    """It states no facts of this format: nobody could hold its weights against a digest."""
    path = serving / "1" / ENCODER_FILE
    stated = json.loads(path.read_text())
    path.write_text(json.dumps({key: stated[key] for key in ("features", "embedding_size")}))
    entries = ledger.read(serving)
    files = entries[0].files | {ENCODER_FILE: sha256(path)}
    changed = (dataclasses.replace(entries[0], files=files), entries[1])
    ledger.save(serving, ledger.Ledger(versions=changed))
    back = rollback.rollback(serving, why="it drifts", to=1, keep=5)
    assert back.version is None
    [refusal] = back.refusals
    assert refusal.endswith("an older ragline pushed the model: train and push again")
    assert [version.number for version in ledger.versions(serving)] == [1, 2]


def test_a_version_that_was_lost_is_pushed_again(exports, probes_file, serving, checked_here):
    shutil.rmtree(serving)
    model = exports["gestures"][1]
    restored = _push(model, serving, probes_file)
    assert restored.version.number == 3
    note = "version 2, of the same model, is missing: restored as a new version"
    assert restored.notes == (note,)
    assert ledger.newest(serving).entry.note == note
    stated = json.loads((serving / "3" / ENCODER_FILE).read_text())
    assert stated == json.loads((model / ENCODER_FILE).read_text()) | {"pipeline": "p"}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("assets.extra/golden.json", "model: golden: serving_default.embedding"),
        ("variables/variables.data-00000-of-00001", "no SavedModel that can be loaded"),
        ("saved_model.pb", "expected a SavedModel of one graph"),
        (ENCODER_FILE, f"{ENCODER_FILE}: expected the facts that ragline exports beside a model"),
    ],
)
def test_a_model_that_does_not_pass_where_it_is_staged_leaves_no_trace(
    model, probes_file, tmp_path, file, sentence, checked_here
):
    """The digest was taken before the file went bad: a copy is not trusted."""
    serving, bad = tmp_path / "serving", _copy(model, tmp_path / "bad")
    source = release_version.ModelSource(
        fingerprint=fingerprint(bad), run_id="r", reasons=(), source=""
    )
    content = (bad / file).read_bytes()
    (bad / file).write_bytes(content[: len(content) // 2])
    result = release_version.check_and_release(bad, serving, source, probes=probes_file)
    assert result.version is None
    assert sentence in result.refusals[0]
    assert list(serving.iterdir()) == []
    assert ledger.read(serving) == ()


ACTIVITIES = np.array([*events.NEXT, "", "in no vocabulary"], object)
CODES = np.array([*sorted(set(events.CODES.values())), 12345, -(2**62)], np.int64)
SERVED = [("gestures", 0), ("gestures", 1), ("gestures", 2), ("japanese_vowels", 0), ("events", 1)]
every_kind = pytest.mark.parametrize(("name", "place"), SERVED)


class Served:
    """A clean export: loaded, with inputs of every length and its answers, and written as ONNX."""

    def __init__(self, model: pathlib.Path, words: dict[str, np.ndarray], onnx: pathlib.Path):
        self.model, self.onnx = model, onnx
        self.loaded = tf.saved_model.load(str(model))
        self.inputs = runtimes.every_length(self.loaded, words)
        self.expected = runtimes.savedmodel(self.loaded, self.inputs)
        self.session = runtimes.written(model, onnx)


@pytest.fixture(scope="module")
def served(exports, tmp_path_factory) -> Callable[[str, int], Served]:
    @functools.cache
    def get(name: str, place: int) -> Served:
        words = {"activity": ACTIVITIES, "code": CODES} if name == "events" else {}
        onnx = tmp_path_factory.mktemp("onnx") / "encoder.onnx"
        return Served(exports[name][place], words, onnx)

    return get


@every_kind
def test_onnxruntime_gives_the_same_embeddings_at_every_length(served, name, place):
    one = served(name, place)
    inputs, expected, session = one.inputs, one.expected, one.session
    assert session.get_inputs()[0].shape[:2] == ["B", "T"]
    [received] = session.run(["embedding"], inputs)
    assert np.isfinite(expected).all() and len({row.tobytes() for row in expected}) == len(expected)
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)
    for row in (0, 1, 2, int(inputs["length"].argmin())):  # Alone, and without padding.
        steps = inputs["length"][row]
        alone = {
            key: array[row : row + 1] if array.ndim == 1 else array[row : row + 1, :steps]
            for key, array in inputs.items()
        }
        [embedding_alone] = session.run(["embedding"], alone)
        np.testing.assert_allclose(embedding_alone[0], expected[row], rtol=0, atol=1e-5)


@every_kind
def test_the_fast_form_gives_the_same_embeddings_at_every_length(served, name, place):
    one = served(name, place)
    fast = fast_encoder.fast_form(one.model, facts.read(one.model), 1)
    received = fast.encode_flat(runtimes.flat(one.inputs))
    np.testing.assert_allclose(received, one.expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "place"), [("gestures", 0), ("gestures", 1)])
def test_openvino_reads_the_saved_model_itself(served, name, place):
    one = served(name, place)
    received = runtimes.by_openvino(one.loaded, one.inputs)
    np.testing.assert_allclose(received, one.expected, rtol=0, atol=1e-5)


def test_the_standardisation_is_read_in_float64(exports):
    """In float32, a feature at 1e6 times its spread would lose all its digits."""
    model = exports["gestures"][0]
    network = read_network.read(model, weights.read(model), facts.read(model))
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=12) for _ in NAMES]  # As clean_exports draws them.
    values = np.float64(np.float32(drawn))
    assert network.mean.dtype == network.scale.dtype == np.float64
    np.testing.assert_allclose(network.mean, values.mean(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(network.scale, values.std(axis=1), rtol=0, atol=1e-12)
    assert network.varies.all()
    assert {name: array.shape for name, array in network.weights.items()} == {
        "encoder_0/lstm_cell/kernel": (len(NAMES), 16),
        "encoder_0/lstm_cell/recurrent_kernel": (4, 16),
        "encoder_0/lstm_cell/bias": (16,),
    }
    assert (network.linear.steps, network.linear.fills) == (32, True)
    vowels = exports["japanese_vowels"][0]
    network = read_network.read(vowels, weights.read(vowels), facts.read(vowels))
    assert (network.linear.steps, network.linear.fills) == (32, False)


def test_without_a_linear_path_there_is_none_in_onnx(exports, tmp_path):
    transform = clean_exports.tft.TFTransformOutput(
        str(exports["gestures"][0].parent / "transform")
    )
    model = clean_exports.write("gestures", transform, tmp_path / "recurrent", linear_steps=0)
    loaded = tf.saved_model.load(str(model))
    session = runtimes.written(model, tmp_path / "encoder.onnx")
    inputs = runtimes.every_length(loaded, {})
    [received] = session.run(["embedding"], inputs)
    np.testing.assert_allclose(received, runtimes.savedmodel(loaded, inputs), rtol=0, atol=1e-5)


def test_what_onnx_cannot_serve_is_refused_by_the_option_s_name(exports, tmp_path, capsys):
    output = tmp_path / "encoder.onnx"

    def refused(model: pathlib.Path) -> str:
        arguments = ["export", str(model), "--format", "onnx", "--output", str(output)]
        assert main(arguments) == 2
        assert list(tmp_path.glob("*.onnx")) == []
        return capsys.readouterr().err

    assert "train.padding = 'keras' cannot be exported" in refused(exports["gestures"][3])
    bare = _copy(exports["events"][0], tmp_path / "bare")
    (bare / ENCODER_FILE).unlink()
    sentence = f"{ENCODER_FILE}: expected the facts that ragline exports beside a model"
    assert sentence in refused(bare)
    assert "expected a SavedModel" in refused(tmp_path)
    foreign = _save(tmp_path / "foreign", lambda x: {"y": x})
    assert sentence in refused(foreign)
    output = tmp_path / "file" / "encoder.onnx"
    output.parent.write_text("mine")
    assert "--output: expected a place to write to" in refused(exports["gestures"][0])


def test_an_onnx_file_that_gives_other_embeddings_is_not_written(exports, tmp_path, monkeypatch):
    """The negative control: a scale that is read wrongly."""
    read = read_network.read

    def wrong(*arguments):
        network = read(*arguments)
        return dataclasses.replace(network, scale=network.scale * 1.01)

    monkeypatch.setattr(read_network, "read", wrong)
    with pytest.raises(read_network.CannotExportError, match="as ONNX it gives other"):
        runtimes.written(exports["gestures"][0], tmp_path / "encoder.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_batch_has_an_empty_answer_in_onnxruntime(served):
    """In a process of its own: an LSTM node without a row or a step kills it."""
    models = [("gestures", 0), ("gestures", 1), ("events", 1)]
    files = [str(served(*each).onnx) for each in models]
    code = f"""
import numpy as np, onnxruntime
kinds = {{"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(string)": object}}
for file in {files}:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for steps in (0, 1, 7):
        inputs = {{
            one.name: np.zeros([0, steps, *one.shape[2:]][:len(one.shape)], kinds[one.type])
            for one in session.get_inputs()
        }}
        print(*session.run(["embedding"], inputs)[0].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 3\n" * 9), done.stderr
