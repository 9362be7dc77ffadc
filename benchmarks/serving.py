"""The memory and the time of a request, by signature: `python -m benchmarks.serving MODEL`.

MODEL is a pushed encoder. Each request is of sequences of random lengths, short and long ones
mixed, and is made in a process of its own. What is promised of `encode_flat` and `serving_default`
is a peak of at most 20 times the request's bytes and 50 MB.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

TIMES, MORE_BYTES = 20, 50_000_000
# Sequences, and their lengths: as many as the third says are as long as the second.
MIXES = {
    "alike": (512, 70, 512),
    "one long among short": (500, 5_000, 1),
    "many": (3_000, 400, 30),
    "a few long": (40, 4_000, 4),
    "one very long": (1, 200_000, 1),
}


def lengths(mix: str, seed: int = 0) -> np.ndarray:
    """int64 [B], in a random order."""
    rows, longest, long = MIXES[mix]
    rng = np.random.default_rng(seed)
    short = rng.integers(1, 40, rows - long)
    return rng.permutation(np.concatenate([short, rng.integers(longest // 2, longest + 1, long)]))


def measure(model: pathlib.Path, signature: str, mix: str) -> dict[str, float]:
    """One request, in this process: `request` and `peak`, bytes; `seconds`."""
    import tensorflow as tf

    from ragline.components.push.contract import hard_requests, probes
    from ragline.components.push.contract.sequences import Probe

    loaded = tf.saved_model.load(str(model))
    facts = json.loads((model / "assets.extra" / "encoder.json").read_text(encoding="utf-8"))
    names = [feature["name"] for feature in facts["features"]]
    rng = np.random.default_rng(0)

    def inputs(length: np.ndarray) -> dict[str, tf.Tensor]:
        values = rng.normal(size=(int(length.sum()), len(names))).astype(np.float32)
        if signature == "encode_flat":
            return {"values": tf.constant(values), "row_lengths": tf.constant(length)}
        rows = np.split(values, np.cumsum(length)[:-1])
        examples = probes.encode([Probe(values=row, words={}) for row in rows], names)
        return {"examples": tf.constant(examples)}

    encode = loaded.signatures[signature]
    for _ in range(2):
        encode(**inputs(np.array([3, 5, 2, 7])))
    request = inputs(lengths(mix))
    before, started = hard_requests.peak_from_now(), time.perf_counter()
    encode(**request)
    seconds, peak = time.perf_counter() - started, hard_requests.peak() - before
    size = sum(
        sum(map(len, tensor.numpy())) if tensor.dtype == tf.string else tensor.numpy().nbytes
        for tensor in request.values()
    )
    return {"request": size, "peak": peak, "seconds": seconds}


def apart(model: pathlib.Path, signature: str, mix: str) -> dict[str, float]:
    """The same, in a process of its own, whose memory nothing else has grown."""
    command = [sys.executable, "-m", "benchmarks.serving", str(model), "--one", signature, mix]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def allowed(request: float) -> float:
    """The bytes that a request of so many bytes may take."""
    return TIMES * request + MORE_BYTES


def main() -> None:
    """Prints a line a request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--one", nargs=2, metavar=("SIGNATURE", "MIX"))
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.model, *arguments.one)))
        return
    for signature in ("encode_flat", "serving_default"):
        for mix in MIXES:
            figures = apart(arguments.model, signature, mix)
            most = allowed(figures["request"])
            print(
                f"{signature:16} {mix:22} request {figures['request'] / 1e6:6.2f} MB, "
                f"peak {figures['peak'] / 1e6:6.1f} of {most / 1e6:6.1f} MB, "
                f"{figures['seconds']:.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
