"""What several tests ask a finished run."""

import json
import pathlib

import numpy as np
import tensorflow as tf
from commands import Run

from ragline.components.push.contract import clean_process, probes
from ragline.components.push.contract.sequences import Probe

STAGES = [
    "schema", "ingest", "statistics", "anomalies", "gate", "transform", "train", "baselines",
    "evaluate", "verdict", "push",
]  # fmt: skip


def weights(model: pathlib.Path) -> list[np.ndarray]:
    """A pushed model's own weights, in its order, without the state of random generators."""
    path = model / "variables" / "variables"
    reader = tf.train.load_checkpoint(str(path))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("variables/")]
    in_order = sorted(names, key=lambda name: int(name.split("/")[1]))
    tensors = [reader.get_tensor(name) for name in in_order]
    return [tensor.astype(np.float64) for tensor in tensors if tensor.dtype == np.float32]


def metric(run: Run, name: str, slice_name: str = "overall") -> float:
    return run.summary["metrics"][slice_name][name]["value"]


def assert_the_contract_holds(pushed: pathlib.Path, folder: pathlib.Path) -> None:
    features = json.loads((pushed / "assets.extra" / "encoder.json").read_text())["features"]
    names = tuple(feature["name"] for feature in features)
    rng = np.random.default_rng(0)
    sequences = [
        Probe(values=rng.normal(size=(t, len(names))).astype(np.float32)) for t in (1, 2, 5, 17, 60)
    ]
    probes.save(folder / "probes.npz", probes.choose(sequences), names)
    # The push has done it in a clean process, on probes of its own.
    checked = clean_process.check(pushed, folder / "probes.npz", strict=True)
    assert (checked["violations"], checked["embedding_size"]) == ([], 32)
    assert {"golden", "ops"} <= set(checked["clauses_checked"])
