"""docs/serving.md: each snippet runs, and each request fits the signature that it names."""

import concurrent.futures
import json
import pathlib
import re
import shlex
import shutil

import grpc
import numpy as np
import pytest
import tensorflow as tf
from commands import ROOT
from conftest import write_jsonl
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from ragline.components.contract.signatures import EMBEDDING
from ragline.pipeline.cli.main import main
from ragline.pipeline.demo.synth import FEATURES

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SERVER = "localhost:8500"


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """TensorFlow Serving's interface over the SavedModel that it would load."""

    def __init__(self, serving: pathlib.Path) -> None:
        self._models = {"gestures": tf.saved_model.load(str(serving / "1"))}

    def Predict(self, request, context):  # noqa: N802 (gRPC's name)
        signature = self._models[request.model_spec.name].signatures[
            request.model_spec.signature_name
        ]
        inputs = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
        outputs = signature(**{key: tf.constant(array) for key, array in inputs.items()})
        answer = predict_pb2.PredictResponse()
        for key, tensor in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(tensor))
        return answer


@pytest.fixture(scope="module")
def folder(encoder, gestures, tmp_path_factory) -> pathlib.Path:
    """Where a reader of the page stands: an encoder that was pushed, and new files."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(encoder, folder / "demo" / "run" / "serving" / "1")
    write_jsonl(folder / "new" / "a.jsonl", gestures[:60])
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """The port of a server that answers like TensorFlow Serving."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    service = Service(folder / "demo" / "run" / "serving")
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(None)


def test_the_snippets_run_one_after_another(folder, server, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    names: dict = {}
    embeddings = []
    for language, text in BLOCKS:
        if language == "console":
            command, *told = text.splitlines()
            assert main(shlex.split(command.removeprefix("$ ragline "))) == 0
            err = capfd.readouterr().err
            for line in told:  # All but figures that depend on weights.
                assert re.sub(r"[0-9.]+e-0\d", "", line) in re.sub(r"[0-9.]+e-0\d", "", err)
        elif language == "python":
            exec(compile(text.replace(SERVER, server), "docs/serving.md", "exec"), names)
            if "embedding" in names:
                embeddings.append(np.asarray(names.pop("embedding")))
    assert names["account"]["encoded"] == len(names["table"]) == 60
    assert names["embeddings"].shape == (2, 3)
    assert np.isfinite(names["errors"]).tolist() == [True, False], "nothing observed, no error"
    by_tensorflow, by_grpc, by_onnx, by_openvino = embeddings
    np.testing.assert_allclose(by_tensorflow, names["embeddings"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(by_grpc, by_tensorflow)
    np.testing.assert_allclose(by_onnx[0], by_tensorflow[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(by_openvino, by_onnx, rtol=0, atol=1e-5)


def test_the_rest_request_fits_its_signature(folder):
    [request] = [text for language, text in BLOCKS if language == "sh"]
    url, body = re.fullmatch(r"curl (\S+) -d '(.*)'\n", request, re.DOTALL).groups()
    assert url.endswith("/v1/models/gestures:predict")
    asked = json.loads(body)
    assert asked.keys() == {"signature_name", "inputs"}
    loaded = tf.saved_model.load(str(folder / "demo" / "run" / "serving" / "1"))
    signature = loaded.signatures[asked["signature_name"]]
    specs = signature.structured_input_signature[1]
    assert asked["inputs"].keys() == specs.keys()
    inputs = {key: tf.constant(asked["inputs"][key], spec.dtype) for key, spec in specs.items()}
    assert signature(**inputs)[EMBEDDING].shape == (2, 3)


def test_the_page_names_what_the_encoder_has(folder):
    order = "`, `".join(FEATURES)
    assert f"`{order}`" in re.sub(r"\s+", " ", PAGE)
    model = tf.saved_model.load(str(folder / "demo" / "run" / "serving" / "1"))
    for name in ("encode", "encode_flat", "score", "serving_default"):
        [row] = re.findall(rf"^\| `{name}` \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
        inputs, outputs = (set(re.findall(r"`(\w+)`", cell)) for cell in row)
        inputs = {"values", "length"} if inputs == {"encode"} else inputs
        assert inputs == set(model.signatures[name].structured_input_signature[1])
        assert outputs == set(model.signatures[name].structured_outputs)
