"""A sequence gets one answer, alone and in any company, of any number of features.

In float32, a product of one row is summed in another order than one of many: see
`components/train/model/dense.py`.
"""

import events
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from push import clean_exports, runtimes

from ragline.components.push.contract import clean_process, padding_contract

# The last digits of float32 (2^-24 of a number, or of 1), four times: a quarter of the contract's
# 1e-6, at any number of features and steps. On few cores it is 0.
BOUND = 2.0**-22
MOST_STEPS, MOST_ROWS = 2_000, 64
# What one request may hold, so that it takes less than a second.
MOST_VALUES = 200_000
SIZE = {"units": 64, "embedding_size": 32}
MODELS = {
    "1 feature": (1, SIZE),
    "13 features": (13, SIZE),
    "60 features": (60, SIZE),
    "500 features": (500, SIZE),
    "60 features, gru": (
        60,
        SIZE | {"encoder": "gru", "layers": 2, "bidirectional": True, "decoder": "teacher"},
    ),
    "60 features, remask": (60, SIZE | {"padding": "remask"}),
    "60 features, wide layers": (60, SIZE | {"units": 400, "linear_steps": 0}),
    "categories": (None, SIZE | {"decoder": "teacher"}),
}
WORDS = {
    "activity": np.array([*events.NEXT, "", "in no vocabulary"], object),
    "code": np.array([0, 40, -7, 12345], np.int64),
}
# To trace and write the others takes minutes; test_exports.py checks one with categories.
QUICK = ("60 features",)
KINDS = [
    pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.full, id=kind) for kind in MODELS
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A SavedModel, loaded, by the name of its kind; each is made when it is first wanted."""
    transforms, models = {}, {}

    def get(kind):
        if kind not in models:
            features, options = MODELS[kind]
            folder = tmp_path_factory.mktemp("company")
            name = clean_exports.wide(features) if features else "events"
            if features not in transforms:
                transforms[features] = (
                    clean_exports.transform_output(name, folder / "transform")
                    if features
                    else events.transform(folder, {"train": events.make(0, (3, 4, 5))})
                )
            path = clean_exports.write(name, transforms[features], folder / "model", **options)
            models[kind] = path, tf.saved_model.load(str(path))
        return models[kind]

    return get


def _ask(signature, inputs) -> dict[str, np.ndarray]:
    outputs = signature(**{key: tf.constant(array) for key, array in inputs.items()})
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def _request(seed: int, rows: int, steps: int, features: int, words) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    length = rng.integers(1, steps + 1, rows)
    length[rng.integers(rows)] = steps
    values = rng.normal(size=(rows, steps, features)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    drawn = {
        key: known[rng.integers(len(known), size=(rows, steps))] for key, known in words.items()
    }
    return {"values": values, "length": length} | drawn


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, MOST_ROWS),
    steps=st.one_of(st.integers(1, 40), st.integers(1, MOST_STEPS)),
)
def test_company_changes_no_answer(loaded, kind, seed, rows, steps):
    _, model = loaded(kind)
    features = MODELS[kind][0] or 1
    rows = max(1, min(rows, MOST_VALUES // (steps * max(features, 20))))
    words = {} if MODELS[kind][0] else WORDS
    request = _request(seed, rows, steps, features, words)
    for name in ("encode", "score"):
        signature = model.signatures[name]
        together = _ask(signature, request)
        for row in {0, rows - 1, seed % rows}:
            long = request["length"][row]
            alone = {
                key: array[row : row + 1] if array.ndim == 1 else array[row : row + 1, :long]
                for key, array in request.items()
            }
            for output, one in _ask(signature, alone).items():
                figure = padding_contract.difference(together[output][row : row + 1], one)
                assert figure <= BOUND, (name, output, rows, steps, row, long)


@pytest.mark.full
@pytest.mark.parametrize("kind", MODELS)
def test_the_contract_holds_as_a_push_demands_it(loaded, kind):
    path, _ = loaded(kind)
    found = clean_process.check(path, None, strict=True)
    assert found["violations"] == []
    assert {"alone", "golden", "ops"} <= set(found["clauses_checked"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.id.startswith("60")])
def test_onnx_gives_one_answer_too(loaded, kind, tmp_path):
    path, _ = loaded(kind)
    session = runtimes.written(path, tmp_path / "encoder.onnx")
    request = _request(0, 20, 50, MODELS[kind][0], {})
    [together] = session.run(["embedding"], request)
    alone = []
    for row, long in enumerate(request["length"]):
        one = {"values": request["values"][row : row + 1, :long], "length": np.array([long])}
        alone.append(session.run(["embedding"], one)[0])
    assert padding_contract.difference(together, np.concatenate(alone)) <= BOUND
