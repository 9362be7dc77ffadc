"""What an encoder records of ONNX is what it computes."""

import json

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from train import samples
from train.samples import F
from train.test_encoders import NAMES

from ragline.components.export import onnx_encoder
from ragline.components.export.nodes import Nodes
from ragline.components.export.onnx_graph import OPSET
from ragline.components.serving.portable import LENGTHS, MASK, STEPS, Recorder
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.options import TrainOptions

SHAPES = {
    "one layer": {"layers": 1, "units": 8},
    "two layers": {"layers": 2, "units": 6},
    "both ways": {"layers": 2, "units": 4, "bidirectional": True},
}


def _session(model: MaskedAutoencoder) -> onnxruntime.InferenceSession:
    """The encoder alone, its operations written as JSON and read again."""
    recorder = Recorder()
    result = model.reader.record(recorder, model.encoder, model.options)
    recorder.call("Identity", result)
    weights = {variable.path: np.asarray(variable.value) for variable in model.variables}
    nodes = Nodes()
    operations = json.loads(json.dumps(recorder.operations))
    output = onnx_encoder.add_to(
        nodes, operations, weights, {name: name for name in (STEPS, LENGTHS, MASK)}
    )
    shapes = {STEPS: ["B", "T", F], LENGTHS: ["B"], MASK: ["B", "T", 1]}
    kinds = {STEPS: TensorProto.FLOAT, LENGTHS: TensorProto.INT32, MASK: TensorProto.BOOL}
    inputs = [helper.make_tensor_value_info(n, kinds[n], shapes[n]) for n in shapes]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["B", None])]
    graph = helper.make_graph(nodes.nodes, "x", inputs, outputs, [*nodes.constants.values()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = 8
    onnx.checker.check_model(made, full_check=True)
    return onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_reads_what_the_encoder_reads(name, shape):
    """At every length from 1 to 70, alone and together, and of no sequence at all."""
    keras.utils.set_random_seed(0)
    try:
        options = TrainOptions(encoder=name, embedding_size=3, linear_steps=0, **shape)
    except ValueError:
        pytest.skip("it does not read both ways")
    model = MaskedAutoencoder(features=F, options=options, portable=True)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0.0, 0.1, w.shape) for w in model.get_weights()])
    session = _session(model)
    sequences = [rng.normal(size=(steps, F)).astype(np.float32) for steps in range(1, 71)]
    batch = samples.batch(sequences, np.nan, extra=2)
    expected = model.reader.read(model.encoder, model.to_read(batch), batch, lambda states: states)

    def asked(rows: slice, steps: int) -> np.ndarray:
        inputs = {
            STEPS: batch.valid_values.numpy()[rows, :steps],
            LENGTHS: batch.length.numpy()[rows].astype(np.int32),
            MASK: batch.valid.numpy()[rows, :steps, np.newaxis],
        }
        # Feeding what the graph does not read is an error.
        names = {each.name for each in session.get_inputs()}
        [received] = session.run(None, {n: value for n, value in inputs.items() if n in names})
        return received

    np.testing.assert_allclose(asked(slice(None), 72), expected, rtol=0, atol=1e-5)
    for row in (0, 1, 6, 40):
        alone = asked(slice(row, row + 1), row + 1)
        np.testing.assert_allclose(alone[0], expected[row], rtol=0, atol=1e-5)
    for steps in (0, 1, 7):
        assert len(asked(slice(0, 0), steps)) == 0
