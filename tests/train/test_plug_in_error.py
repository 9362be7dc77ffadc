"""An error of another package, as docs/extending.md shows it; metrics stay squared."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from ingest.test_plug_in import BLOCKS, install
from train import samples
from train.samples import F

from ragline.components.train import errors
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS


def test_it_is_one_class(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    entry = "[ragline.errors]\nlorentz = lorentz:Lorentz\n"
    install(tmp_path, "lorentz", {"lorentz.py": BLOCKS["lorentz"]}, entry)
    errors.ERRORS.__dict__.pop("_entry_points", None)
    monkeypatch.setitem(sys.modules, "lorentz", None)
    del sys.modules["lorentz"]
    try:
        options = TrainOptions(error="lorentz", units=4, embedding_size=3, linear_steps=0)
        made = samples.make(1, [3, 7, 1, 4])
        [batch] = samples.read(
            samples.write(tmp_path / "shard", [samples.record(sample) for sample in made])
        )
        trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
        batches = tf.data.Dataset.from_tensors(batch)
        difference = np.concatenate(
            [
                row[: len(sample.values)].astype(np.float64) - sample.values
                for row, sample in zip(trainer.model(batch).numpy(), made, strict=True)
            ]
        )
        measured = mean_of(trainer.measure(batches), LOSS)
        assert measured == pytest.approx(np.log1p(difference**2).mean(), rel=1e-5)
        evaluated = mean_of(trainer.evaluate(batches), LOSS)
        assert evaluated == pytest.approx((difference**2).mean(), rel=1e-5)
        with pytest.raises(ValueError, match=r"error: expected 'squared', .* or 'lorentz', recei"):
            TrainOptions(error="lorenz")
    finally:
        errors.ERRORS.__dict__.pop("_entry_points", None)


@pytest.mark.parametrize("name", [*errors.ERRORS.own])
def test_every_error_is_0_of_0_and_says_what_it_is(name: str) -> None:
    error = errors.of(name)
    values = error.of(tf.constant([0.0, -2.0, 1e3, -1e30])).numpy()
    assert values[0] == 0 and (values[1:3] > 0).all() and error.how
