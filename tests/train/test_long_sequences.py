"""A sequence that is read part by part has the embedding that it has in one."""

import numpy as np
import pytest
import tensorflow as tf

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.export import long_sequences
from ragline.components.train.model import architecture
from ragline.components.train.model.sequence_layers import SequenceLayer
from ragline.components.train.options import TrainOptions

F = 3
LENGTHS = np.array([1, 7, 13, 14, 15, 29, 40])
STEPS = int(LENGTHS.max()) + 2


def _model(**options) -> architecture.MaskedAutoencoder:
    return architecture.build(
        features=F,
        options=TrainOptions(units=8, embedding_size=5, **options),
        steps=STEPS,
        portable=True,
    )


def _request() -> SequenceBatch:
    """Sequences with missing values, and garbage in their padding."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(LENGTHS), STEPS, F)).astype(np.float32)
    values[np.arange(STEPS) >= LENGTHS[:, np.newaxis]] = np.nan
    weight = (rng.random(values.shape) < 0.9).astype(np.float32)
    return SequenceBatch(tf.constant(values), tf.constant(LENGTHS), tf.constant(weight))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        *(({}, steps) for steps in (1, 7, 14, STEPS, 1000)),
        *(({"encoder": "gru", "layers": 2}, steps) for steps in (1, 7, 14, STEPS, 1000)),
        ({"layers": 3, "linear_steps": 0}, 7),
        ({"padding": "remask", "dropout": 0.5}, 7),
        ({"bidirectional": True}, 7),
        ({"padding": "keras"}, 7),
        ({"precision": "bfloat16"}, 7),
    ],
    ids=str,
)
def test_parts_have_the_embedding_of_the_whole(monkeypatch, options, steps):
    """Those that cannot be cut are read in one, whatever a part is."""
    monkeypatch.setattr(long_sequences, "PART_STEPS", steps)
    model = _model(**options)
    request = _request()

    @tf.function
    def in_parts() -> tf.Tensor:
        return long_sequences.encode(model, request)

    whole = model.encode(request).numpy()
    assert np.isfinite(whole).all() and len({row.tobytes() for row in whole}) == len(whole)
    np.testing.assert_allclose(in_parts().numpy(), whole, rtol=0, atol=2.0**-22)


@pytest.mark.parametrize("options", [{}, {"encoder": "gru", "layers": 2}], ids=str)
def test_what_can_be_cut_is_cut(monkeypatch, options):
    """Or the test above would compare a model with itself."""
    monkeypatch.setattr(long_sequences, "PART_STEPS", 7)
    model = _model(**options)
    resumed = []
    real = SequenceLayer.resume
    monkeypatch.setattr(
        SequenceLayer,
        "resume",
        lambda layer, steps, state: resumed.append(len(steps[0])) or real(layer, steps, state),
    )
    request = _request()
    long_sequences.encode(model, request)  # Without a graph, step by step.
    assert resumed[:: len(model.encoder)] == [7] * (STEPS // 7)
