"""Encoders that are not recurrent, one of another package among them, are exported as others are.

Through the SavedModel, the check in a clean process that a push demands, and ONNX.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from ingest.test_plug_in import BLOCKS, install
from push import clean_exports, runtimes

from ragline.components.push.contract import check, clean_process, graph
from ragline.components.train import encoders

NAMES = [name for name in encoders.ENCODERS.own if not encoders.of(name).takes_masks]


@pytest.fixture(scope="module", autouse=True)
def averages(tmp_path_factory) -> Iterator[None]:
    """The encoder of docs/extending.md, installed."""
    folder = tmp_path_factory.mktemp("site")
    entry = "[ragline.encoders]\naverages = averages:Averages\n"
    install(folder, "averages", {"averages.py": BLOCKS["averages"]}, entry)
    encoders.ENCODERS.__dict__.pop("_entry_points", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    encoders.ENCODERS.__dict__.pop("_entry_points", None)
    sys.modules.pop("averages", None)


@pytest.fixture(scope="module")
def transform(tmp_path_factory):
    return clean_exports.transform_output("gestures", tmp_path_factory.mktemp("transform"))


# One of ours and the other package's; `make test-full` has all of ours.
@pytest.mark.parametrize(
    "name",
    [NAMES[0], *(pytest.param(name, marks=pytest.mark.full) for name in NAMES[1:]), "averages"],
)
def test_it_passes_the_check_of_a_push_and_is_the_same_in_onnx(transform, name, tmp_path):
    """In the process of the check of `averages`, the encoder's package is not at hand."""
    model: pathlib.Path = clean_exports.write(
        "gestures", transform, tmp_path / "model", encoder=name, units=8
    )
    assert graph.foreign_ops(model) == []
    if name in NAMES:
        checked = clean_process.check(model, None, strict=True)
    else:
        checked = dataclasses.asdict(check.check(model, strict=True))
    assert not checked["violations"]
    assert {"alone", "golden", "memory", "ops"} <= set(checked["clauses_checked"])
    loaded = tf.saved_model.load(str(model))
    inputs = runtimes.every_length(loaded, {})
    expected = runtimes.savedmodel(loaded, inputs)
    session = runtimes.written(model, tmp_path / "encoder.onnx")
    [received] = session.run(["embedding"], inputs)
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)
