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
    """One contestant on one case."""

    def losses(self) -> list[float]:
        """Trains one pass; the loss of each batch, before its update."""

    def passes(self) -> dict[str, Callable[[], int]]:
        """What can be timed: verb -> one pass, which returns the work done."""


def measured(one_pass: Callable[[], int], seconds: float) -> dict[str, float]:
    """Runs whole passes for at least so long."""
    wall, cpu, work = time.perf_counter(), time.process_time(), 0
    while not work or time.perf_counter() - wall < seconds:
        work += one_pass()
    return {
        "work": work,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def answer(load: Callable[[pathlib.Path], Side]) -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    logging.disable(logging.WARNING)
    passes: dict[str, Callable[[], int]] = {}
    for line in sys.stdin:
        [(verb, value)] = json.loads(line).items()
        if verb == "case":
            side = load(pathlib.Path(value))
            passes = side.passes()
            found: dict[str, object] = {"losses": side.losses()}
        else:
            found = dict(measured(passes[verb], value))
        print(json.dumps(found), file=answers, flush=True)
