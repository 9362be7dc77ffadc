"""The fast form of an encoder gives the SavedModel's embeddings, and is not used where it does not.

Every kind of recurrence is held against NumPy in float64, one sequence at a time; an export against
the SavedModel itself, as push/test_exports.py does with exports of each kind.
"""

import dataclasses
import gc
import logging
import pathlib
import shutil
import signal
import threading

import commands
import numpy as np
import oracle
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from conftest import write_jsonl
from push import runtimes

import ragline
from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import GOLDEN_FILE, WEIGHTS_FILE
from ragline.components.files.storage import read_json, write_json
from ragline.components.serving import facts
from ragline.components.serving.batches import Sequences
from ragline.components.serving.fast import (
    fast_encoder,
    grid,
    read_network,
    sequence_statistics,
    weights,
)
from ragline.components.serving.fast.fast_encoder import (
    BFLOAT16_TOLERANCE,
    FastEncoder,
    fast_form,
)
from ragline.components.serving.fast.network import Dense, LinearPath, Network, Statistics
from ragline.components.serving.fast.recurrent_layers import Cell, layers_of

F, E = 3, 5


def _dense(rng, inputs: int) -> Dense:
    kernel = rng.normal(size=(inputs, E)) / np.sqrt(inputs)
    return Dense(kernel=kernel.astype(np.float32), bias=rng.normal(size=E).astype(np.float32))


def _network(cell: str, layers: int, backward: bool, units: int = 7, steps: int = 0) -> Network:
    rng = np.random.default_rng(0)
    gates, bias = (4, (4 * units,)) if cell == "lstm" else (3, (2, 3 * units))

    drawn: dict[str, np.ndarray] = {}

    def names(inputs: int) -> list[str]:
        shapes = (inputs, gates * units), (units, gates * units), bias
        new = [str(len(drawn) + place) for place in range(3)]
        arrays = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in shapes]
        drawn.update(zip(new, map(np.float32, arrays), strict=True))
        return new

    width = units * (1 + backward)
    stack = [
        {"op": cell.upper(), "cells": [names(inputs) for _ in range(1 + backward)]}
        for inputs in (F, *[width] * (layers - 1))
    ]
    before, after = (
        [{"op": op} for op in ops]
        for ops in (("Transpose", "Pad", "Pad"), ("Shape", "Slice", "Identity"))
    )
    return Network(
        features=[f"f{place}" for place in range(F)],
        transforms=["none"] * F,
        mean=rng.normal(size=F),
        scale=1 + rng.random(F),
        varies=np.array([True, True, False]),
        tables=(),
        operations=(*before, *stack, *after),
        weights=drawn,
        to_embedding=_dense(rng, width),
        linear=_linear(rng, steps) if steps else None,
    )


def _linear(rng: np.random.Generator, steps: int) -> LinearPath:
    number = 21 * F + 1
    scale = rng.uniform(0.5, 2.0, number).astype(np.float32)
    scale[3] = 0.0
    mean = rng.normal(size=number).astype(np.float32)
    return LinearPath(
        steps=steps,
        fills=True,
        statistics=_statistics(mean, scale),
        to_embedding=_dense(rng, steps * F + number),
    )


def _statistics(mean: np.ndarray, scale: np.ndarray, tokens: tuple[int, ...] = ()) -> Statistics:
    return Statistics(
        stated=facts.StatisticsFacts(
            correlation_lags=(1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32),
            bend_lags=(1, 2, 4, 8),
            tokens=tokens,
        ),
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
    )


def _sequences(lengths, missing: float = 0.2) -> Sequences:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(sum(lengths), F)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return Sequences(values=values, length=np.array(lengths, np.int64), tokens={})


def _alone(sequences: Sequences) -> list[Sequences]:
    parts = np.split(sequences.values, np.cumsum(sequences.length)[:-1])
    return [Sequences(values=part, length=np.array([len(part)]), tokens={}) for part in parts]


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _states(operation: str, cell: Cell, rows: np.ndarray) -> np.ndarray:
    """Keras's equations, float64 [T, units]."""
    kernel, recurrent, bias = (np.float64(a) for a in (cell.kernel, cell.recurrent, cell.bias))
    h = c = np.zeros(cell.units)
    states = []
    for row in rows:
        if operation == "LSTM":
            i, f, g, o = np.split(row @ kernel + h @ recurrent + bias, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        else:
            x, y = np.split(row @ kernel + bias[0], 3), np.split(h @ recurrent + bias[1], 3)
            z, r = _sigmoid(x[0] + y[0]), _sigmoid(x[1] + y[1])
            h = z * h + (1 - z) * np.tanh(x[2] + r * y[2])
        states.append(h)
    return np.array(states)


def _grid(z: np.ndarray, observed: np.ndarray, steps: int) -> np.ndarray:
    places = np.linspace(0, len(z) - 1, steps)
    columns = [
        np.interp(places, np.flatnonzero(seen), column[seen]) if seen.any() else np.zeros(steps)
        for column, seen in zip(z.T, observed.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _expected(network: Network, values: np.ndarray) -> np.ndarray:
    observed = np.isfinite(values)
    z = (np.float64(values) - network.mean) / network.scale
    z = np.where(observed & network.varies, z, 0.0)
    states, last = z, np.zeros(0)
    for layer in layers_of(network):
        directions = [_states(layer.operation, layer.forward, states)]
        last = directions[0][-1]
        if layer.backward:
            directions.append(_states(layer.operation, layer.backward, states[::-1])[::-1])
            last = np.concatenate([last, directions[1][0]])
        states = np.concatenate(directions, axis=1)
    embedding = last @ network.to_embedding.kernel + network.to_embedding.bias
    if linear := network.linear:
        on_grid = _grid(z, observed, linear.steps).ravel()
        described = oracle.statistics(z, observed)
        statistics = linear.statistics
        described = oracle.standardised_statistics(described, statistics.mean, statistics.scale)
        on_grid = np.concatenate([on_grid, described])
        embedding += on_grid @ linear.to_embedding.kernel + linear.to_embedding.bias
    return embedding


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_recurrence_is_that_of_numpy_alone(cell, layers, backward):
    network = _network(cell, layers, backward, steps=4)
    sequences = _sequences([1, 9, 2, 40, 7, 1, 3])
    sequences.values[-3:] = np.nan  # A sequence of which nothing was observed.
    received = FastEncoder(network, 1).encode_flat(sequences)
    expected = [_expected(network, alone.values) for alone in _alone(sequences)]
    np.testing.assert_allclose(received, expected, rtol=0, atol=2e-6)


def _compiled_in_bfloat16(network: Network) -> FastEncoder:
    try:
        return FastEncoder(network, 1, bfloat16=True)
    except RuntimeError as error:
        pytest.skip(f"the processor has no bfloat16: {error}")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_recurrence_in_bfloat16_has_its_two_digits(cell):
    network = _network(cell, 2, True, units=32, steps=4)
    sequences = _sequences([1, 9, 2, 300, 7, 1, 3])
    received = _compiled_in_bfloat16(network).encode_flat(sequences)
    expected = np.stack([_expected(network, alone.values) for alone in _alone(sequences)])
    np.testing.assert_allclose(received, expected, rtol=0, atol=BFLOAT16_TOLERANCE)
    assert np.abs(received - expected).max() > 2e-6, "computed in float32"


def test_bfloat16_that_is_too_far_from_golden_inputs_is_not_used(encoder, caplog, monkeypatch):
    monkeypatch.setattr(fast_encoder, "BFLOAT16_TOLERANCE", 0.0)
    with caplog.at_level(logging.WARNING):
        fast = fast_form(encoder, facts.read(encoder), 1, bfloat16=True)
    assert (fast.bfloat16, fast.difference <= fast_encoder.TOLERANCE) == (False, True)
    assert caplog.records[-1].getMessage().startswith("encoded in float32, not in bfloat16: ")


def test_a_processor_without_bfloat16_encodes_in_float32(encoder, gestures, tmp_path, monkeypatch):
    write_jsonl(tmp_path / "x.jsonl", gestures[:30])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    summary = ragline.encode(
        encoder, input=str(tmp_path / "x.jsonl"), output=tmp_path / "out", bfloat16=True
    )
    assert summary["model"]["runtime"] == "OpenVINO"
    assert 0 < summary["model"]["golden_difference"] <= fast_encoder.TOLERANCE
    assert summary["warnings"][-1] == "--bfloat16: computed by OpenVINO; _log.txt says why"
    assert "encoded in float32, not in bfloat16: " in (tmp_path / "out" / "_log.txt").read_text()


def test_bfloat16_is_refused_beside_errors(encoder, tmp_path):
    with pytest.raises(UsageError, match="--bfloat16: expected it without --errors"):
        ragline.encode(encoder, input="x", output=tmp_path / "out", errors=True, bfloat16=True)


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_statistics_of_values_and_tokens_are_those_of_numpy_alone(missing):
    sizes, lengths = (4, 30), [1, 9, 2, 40, 7, 1, 33]
    rng = np.random.default_rng(3)
    sequences = _sequences(lengths, missing)
    observed = np.isfinite(sequences.values)
    # The id after the last one is that of a missing token.
    ids = [rng.integers(size + 1, size=sum(lengths)) for size in sizes]
    parts = np.cumsum(lengths)[:-1]
    pieces = [np.split(each, parts) for each in (sequences.values, observed, *ids)]
    expected = [
        oracle.statistics(np.nan_to_num(values), seen, list(zip(tokens, sizes, strict=True)))
        for values, seen, *tokens in zip(*pieces, strict=True)
    ]
    filled = grid.fill(np.nan_to_num(sequences.values), observed, sequences.length)
    number = len(expected[0])
    statistics = _statistics(np.zeros(number), np.ones(number), tokens=(4, 10))
    seen = observed if missing else None
    received = sequence_statistics.standardised(filled, seen, sequences.length, ids, statistics)
    np.testing.assert_allclose(received, np.clip(expected, -5.0, 5.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("units", [16, 64, 256])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_sequence_has_the_same_embedding_alone_and_in_any_batch(cell, units, monkeypatch):
    encoder = FastEncoder(_network(cell, 1, False, units, steps=32), 1)
    lengths = np.random.default_rng(0).integers(1, 60, 40).tolist()
    sequences = _sequences([*lengths, 300])
    alone = np.concatenate([encoder.encode_flat(one) for one in _alone(sequences)])
    for steps, most in ((1 << 14, 256), (100, 3), (2000, 5), (1 << 14, 33)):
        monkeypatch.setattr(fast_encoder, "_BATCH_STEPS", steps)
        monkeypatch.setattr(fast_encoder, "_BATCH_SEQUENCES", most)
        np.testing.assert_allclose(encoder.encode_flat(sequences), alone, rtol=0, atol=1e-6)


def test_no_sequence_has_no_embedding():
    none = Sequences(values=np.zeros((0, F), np.float32), length=np.zeros(0, int), tokens={})
    assert FastEncoder(_network("lstm", 1, True, steps=4), 1).encode_flat(none).shape == (0, E)


def test_an_export_and_its_fast_form_agree(encoder):
    """test_exports.py has those of each kind of option."""
    loaded = tf.saved_model.load(str(encoder))
    inputs = runtimes.every_length(loaded, {})
    fast = fast_form(encoder, facts.read(encoder), 1)
    received = fast.encode_flat(runtimes.flat(inputs))
    expected = runtimes.savedmodel(loaded, inputs)
    np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-6)


@pytest.fixture
def copied(encoder, tmp_path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(encoder, tmp_path / "serving" / "1"))


def _why_not(model: pathlib.Path, caplog) -> str:
    with caplog.at_level(logging.WARNING):
        assert fast_form(model, facts.read(model), 1) is None
    return caplog.records[-1].getMessage()


def test_weights_that_are_not_the_saved_model_s_are_not_used(copied, caplog):
    read = weights.read(copied)
    weights.write(copied, read | {"code/bias": read["code/bias"] + np.float32(1e-6)})
    assert "does not hold those of its SavedModel" in _why_not(copied, caplog)
    (copied / WEIGHTS_FILE).write_bytes(b"no weights")
    assert "encoded by TensorFlow" in _why_not(copied, caplog)
    (copied / WEIGHTS_FILE).unlink()  # As an older ragline exported.
    assert "No such file" in _why_not(copied, caplog)


def test_other_embeddings_than_the_golden_ones_are_not_used(copied, caplog, monkeypatch):
    """The negative controls: a scale that is read wrongly, and other golden inputs."""
    read = read_network.read

    def wrong(*arguments):
        network = read(*arguments)
        return dataclasses.replace(network, scale=network.scale * 1.001)

    with monkeypatch.context() as patch:
        patch.setattr(read_network, "read", wrong)
        assert "golden inputs: expected at most 1e-05, received" in _why_not(copied, caplog)
    golden = read_json(copied / GOLDEN_FILE)
    golden["records"][0]["embedding"][0] += 2e-5
    write_json(copied / GOLDEN_FILE, golden)
    assert "golden inputs: expected at most 1e-05, received" in _why_not(copied, caplog)


def test_an_encoder_that_takes_zeros_for_padding_has_no_fast_form(copied, caplog):
    stated = facts.read(copied)
    network = dataclasses.replace(stated.network, mask="values")
    facts.write(copied, dataclasses.replace(stated, network=network))
    assert "it takes steps of zeros for padding" in _why_not(copied, caplog)


def test_without_a_fast_form_files_are_encoded_by_tensorflow(encoder, copied, gestures, tmp_path):
    write_jsonl(tmp_path / "x.jsonl", gestures[:30])
    (copied / WEIGHTS_FILE).unlink()
    tables = []
    for model, errors, runtime in (
        (encoder, False, "OpenVINO"),
        (copied, False, "TensorFlow"),
        (encoder, True, "TensorFlow"),
    ):
        output = tmp_path / f"out{len(tables)}"
        words = ["encode", model, "--input", tmp_path / "x.jsonl", "--output", output]
        done = commands.ragline(*words, *(["--errors"] if errors else []))
        assert done.returncode == 0, done.stderr
        assert read_json(output / "_summary.json")["model"]["runtime"] == runtime
        lines = (output / "_log.txt").read_text().count("encoded by TensorFlow, in several times")
        assert lines == (1 if model == copied else 0), "the encoder is loaded once"
        tables.append(pq.read_table(output).to_pydict())
    fast, slow, with_errors = tables
    np.testing.assert_allclose(fast["embedding"], slow["embedding"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fast["embedding"], with_errors["embedding"], rtol=1e-6, atol=1e-6)
    assert {*fast["reconstruction_error"], *slow["reconstruction_error"]} == {None}
    assert all(error > 0 for error in with_errors["reconstruction_error"])


_TWO_THREADS = """
import sys, threading
from ragline.components.serving.fast import recurrence
sys.setswitchinterval(1e-6)
both = threading.Barrier(2)
def first_use():
    both.wait()
    recurrence.openvino.Type.f32.to_dtype()
threads = [threading.Thread(target=first_use) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_two_threads_may_use_openvino_first_at_the_same_time():
    """As two do that encode in an installation without what compares golden inputs."""
    done = commands.python("-c", _TWO_THREADS, timeout=120)
    assert done.returncode == 0, done.stderr


def _interrupt_after_an_encoder_of_another_thread() -> None:
    """Each encoder is made in one thread and dropped in the next."""
    encoders = [FastEncoder(_network("lstm", 1, False), 1)]
    for _ in range(2):
        thread = threading.Thread(target=encoders.clear)
        thread.start()
        thread.join()
        gc.collect()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(
            target=lambda: encoders.append(FastEncoder(_network("gru", 1, False), 1))
        )
        thread.start()
        thread.join()


def test_an_interrupt_after_encoding_is_one_of_python_s():
    done = commands.finish(commands.Started(_interrupt_after_an_encoder_of_another_thread))
    assert done.returncode == 0, done.stderr
