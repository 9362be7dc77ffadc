"""How far a stage has come, told to whoever listens in this process.

A stage says how much there is to do (`expect`), and each time some of it is done (`advance`). With
nobody listening, as in a worker of another process, that costs a comparison.
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Listener(Protocol):
    """Who is told."""

    def expect(self, total: float, unit: str, done: float) -> None:
        """There are `total` units to do, of which so many are done."""

    def advance(self, number: float) -> None:
        """So many more are done."""


_listeners: list[Listener] = []


def expect(total: float, unit: str, done: float = 0) -> None:
    """Says how much there is to do.

    Args:
      total: of all.
      unit: what is counted, in the plural.
      done: of them, so far.
    """
    for listener in _listeners:
        listener.expect(total, unit, done)


def advance(number: float = 1) -> None:
    """Says that so many more are done; from any thread."""
    for listener in _listeners:
        listener.advance(number)


@contextlib.contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Tells a listener, as long as it lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
