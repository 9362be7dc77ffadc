"""A side of the training benchmark answers the driver: a line of JSON for a line of JSON.

{"case": folder}     loads it and trains one pass: {"losses": [...]}, one a batch
{"train": seconds}   trains whole passes for at least so long: {"work", "wall", "cpu"}, where
work is valid steps
{"encode": seconds}  likewise; work is sequences
{"input": seconds}   a side with an input of its own: the same as `train`, but read from records
"""

import json
import logging
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Protocol


class Side(Protocol):
    """Trains and encodes as one contestant, on one case."""

    def losses(self) -> list[float]:
        """Train one pass; return the loss of each batch, before its update."""

    def passes(self) -> dict[str, Callable[[], int]]:
        """Return what can be timed: verb -> one pass, which returns the work done."""


def measured(one_pass: Callable[[], int], seconds: float) -> dict[str, float]:
    """Run whole passes for at least so many seconds."""
    wall, cpu, work = time.perf_counter(), time.process_time(), 0
    while not work or time.perf_counter() - wall < seconds:
        work += one_pass()
    return {
        "work": work,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def answer(load: Callable[[pathlib.Path], Side]) -> None:
    """Answer questions until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    logging.disable(logging.WARNING)
    passes: dict[str, Callable[[], int]] = {}
    for line in sys.stdin:
        [(verb, value)] = json.loads(line).items()
        if verb == "case":
            side = load(pathlib.Path(value))
            passes = side.passes()
            results: dict[str, object] = {"losses": side.losses()}
        else:
            results = dict(measured(passes[verb], value))
        print(json.dumps(results), file=answers, flush=True)
