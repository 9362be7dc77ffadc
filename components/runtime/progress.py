"""Report the progress of a stage to the listeners of this process.

A stage reports how much there is to do (`expect`), and each part that is done (`advance`). Without
a listener, as in a worker process, a report costs a comparison.
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Listener(Protocol):
    """Receives the progress of a stage."""

    def expect(self, total: float, unit: str, done: float) -> None:
        """Receive the number of units to do, and of those that are done."""

    def advance(self, number: float) -> None:
        """Receive the number of units done since the last call."""


_listeners: list[Listener] = []


def expect(total: float, unit: str, done: float = 0) -> None:
    """Report how much there is to do.

    Args:
      total: number of all units.
      unit: name of a unit, in the plural.
      done: number of units that are done already.
    """
    for listener in _listeners:
        listener.expect(total, unit, done)


def advance(number: float = 1) -> None:
    """Report that more units are done; from any thread."""
    for listener in _listeners:
        listener.advance(number)


@contextlib.contextmanager
def reporting_to(listener: Listener) -> Iterator[None]:
    """Report to a listener while the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
