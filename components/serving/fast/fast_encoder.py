"""Embed sequences in NumPy and OpenVINO, as a SavedModel of ours does.

A sequence alone and in any batch gets the same embedding to 1e-6, since what is summed over many
numbers is summed in float64, or over at least `_ROWS` rows; see components/train/model/dense.py.
"""

import importlib.util
import logging
import pathlib
import threading

import numpy as np

from ragline.components.contract.errors import UsageError
from ragline.components.serving.batches import Sequences, batches
from ragline.components.serving.facts import ModelFacts, digest_of_weights
from ragline.components.serving.fast import golden, grid, read_network, weights
from ragline.components.serving.fast.network import Dense, Network
from ragline.components.serving.fast.rows import TokenTable, standardise
from ragline.components.serving.fast.sequence_statistics import standardised

# The most that embeddings of golden inputs may differ, by the precision of the recurrence.
TOLERANCE, BFLOAT16_TOLERANCE = 1e-5, 2e-2

_log = logging.getLogger(__name__)
# No kernel computes one row as it does several.
_ROWS = 4
_SMALL_PRODUCT = 1 << 18  # Multiplications.
# Padded steps and sequences of a batch: states of a layer of 64 units take 4 MB.
_BATCH_STEPS, _BATCH_SEQUENCES = 1 << 14, 1 << 7


def fast_form(
    model: pathlib.Path, stated: ModelFacts, threads: int, *, bfloat16: bool = False
) -> "FastEncoder | None":
    """Return the fast form of an encoder; None if it has none, which the log explains.

    Args:
      model: the folder of the encoder.
      stated: its facts.
      threads: the number of threads that call it at a time.
      bfloat16: whether the recurrence computes in bfloat16; the fast form is of float32 if the
        processor has none, or if golden inputs differ by more than `BFLOAT16_TOLERANCE`.
    """
    try:
        read = weights.read(model)
        if digest_of_weights(read) != stated.weights_sha256:
            raise ValueError("its file of weights does not hold those of its SavedModel")
        encoder = FastEncoder(read_network.read(model, read, stated), threads, bfloat16=bfloat16)
        # What decodes golden inputs is not in an installation for embeddings alone.
        if importlib.util.find_spec("tfx_bsl") is not None:
            encoder.difference = golden.difference(model, stated, encoder)
            most = BFLOAT16_TOLERANCE if bfloat16 else TOLERANCE
            if not encoder.difference <= most:
                raise ValueError(
                    f"golden inputs: expected at most {most}, received {encoder.difference}"
                )
    # OpenVINO raises RuntimeError for what a processor or it cannot do.
    except (OSError, RuntimeError, UsageError, ValueError) as error:
        if bfloat16:
            _log.warning("encoded in float32, not in bfloat16: %s", error)
            return fast_form(model, stated, threads)
        _log.warning("encoded by TensorFlow, in several times the time: %s", error)
        return None
    _log.info("encoded by OpenVINO; golden inputs differ by %.1e", encoder.difference or 0.0)
    return encoder


class FastEncoder:
    """Embeds sequences; several threads may call it at once.

    Attributes:
      bfloat16: whether the recurrence computes in bfloat16.
      difference: the largest difference of a golden input's embedding; None if none was compared.
    """

    def __init__(self, network: Network, threads: int, *, bfloat16: bool = False) -> None:
        """Compile the network for so many threads."""
        from ragline.components.serving.fast import recurrence  # Late: it imports OpenVINO.

        self.bfloat16 = bfloat16
        self.difference: float | None = None
        self._network = network
        self._tables = [TokenTable(table) for table in network.tables]
        self._compiled = recurrence.compiled(network, threads, bfloat16=bfloat16)
        self._of_thread = threading.local()

    def encode_flat(self, sequences: Sequences) -> np.ndarray:
        """Return the embeddings, float32 [N, E], of N sequences in flat columns."""
        network = self._network
        z, observed = standardise(network, sequences.values)
        tokens = [sequences.tokens[table.category.key] for table in network.tables]
        ids = [table.ids(column) for table, column in zip(self._tables, tokens, strict=True)]
        embedded = [table.embed(column) for table, column in zip(self._tables, ids, strict=True)]
        rows = np.concatenate([z, *embedded], axis=1) if embedded else z
        if network.linear and network.linear.fills:
            z = grid.fill(z, observed, sequences.length)
        described = None
        if network.linear and network.linear.statistics:
            seen = observed if network.linear.fills else None
            statistics = network.linear.statistics
            described = standardised(z, seen, sequences.length, ids, statistics)
        first = np.cumsum(sequences.length) - sequences.length
        size = len(network.to_embedding.bias)
        embedding = np.zeros((len(sequences), size), np.float32)
        of_rows = Sequences(values=rows, length=sequences.length, tokens={})
        for batch in batches(of_rows, _BATCH_STEPS, _BATCH_SEQUENCES):
            last = self._last_states(batch.values, batch.length)
            part = _affine(last, network.to_embedding)
            if linear := network.linear:
                on_grid = grid.resample(z, first[batch.places], batch.length, linear.steps)
                inputs = on_grid.reshape(len(part), -1)
                if described is not None:
                    inputs = np.concatenate([inputs, described[batch.places]], axis=1)
                part += _affine(inputs, linear.to_embedding)
            embedding[batch.places] = part
        return embedding

    def _last_states(self, rows: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return the last valid states of the last layer, float32 [B, units * directions]."""
        number = len(rows)
        if number < _ROWS:
            rows = np.resize(rows, (_ROWS, *rows.shape[1:]))
            length = np.resize(length, _ROWS)
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        inputs = [rows, length][: len(self._compiled.inputs)]
        outputs = self._of_thread.request.infer(inputs, share_inputs=True, share_outputs=True)
        places = np.arange(number), 0, length[:number] - 1
        last: np.ndarray = np.concatenate([states[places] for states in outputs.values()], axis=1)
        return last


def _affine(rows: np.ndarray, dense: Dense) -> np.ndarray:
    """Return the affine map of rows, float32 [B, outputs], summed in float64."""
    kernel = dense.kernel.astype(np.float64)
    result = np.empty((len(rows), len(dense.bias)), np.float32)
    # Products that OpenBLAS does in one thread: its threads would wait for each other's.
    block = max(_ROWS, _SMALL_PRODUCT // kernel.size)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        result[part] = rows[part].astype(np.float64) @ kernel + dense.bias
    return result
