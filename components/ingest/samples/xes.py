"""Sample event logs: the traces that files begin with, each as a decoded object."""

from collections.abc import Sequence
from typing import Any

from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import xes
from ragline.components.ingest.samples.nested import sample_of
from ragline.components.ingest.samples.sample import Sample

_MOST_EVENTS = 1 << 18
_TAGS = {"string", "id", "date", "int", "float", "boolean"}


def take(paths: Sequence[str]) -> Sample:
    """Read the traces of files, as far as they go.

    Raises:
      BadDataError: `unreadable`, not well-formed or with a document type; `no_data`, no trace.
    """
    traces: list[dict[str, Any]] = []
    complete = True
    for path in paths:
        handler = _Traces()
        for _ in xes.blocks(path, handler):
            if handler.events > _MOST_EVENTS // len(paths):
                complete = False
                break
        traces += handler.traces
    if not any(trace["events"] for trace in traces):
        raise BadDataError(
            "no_data", f"{paths[0]}: expected traces with events, received {len(traces)} traces"
        )
    return sample_of(traces, paths, complete=complete)


class _Traces(xes.Walk):
    """Gathers whole traces."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: list[dict[str, Any]] = []
        self.events = 0
        self._waiting: list[dict[str, Any]] = []

    def end_event(self, event: xes.Attributes) -> None:
        self._waiting.append(_values(event))
        self.events += 1

    def end_trace(self, trace: xes.Attributes) -> None:
        own = _values(trace)
        own.pop(xes.NAME, None)  # The trace's id.
        self.traces.append(own | {"events": self._waiting})
        self._waiting = []


def _values(attributes: xes.Attributes) -> dict[str, Any]:
    return {key: _value(tag, value) for key, (tag, value) in attributes.items() if tag in _TAGS}


def _value(tag: str, text: str) -> Any:
    """Convert a value to its tag's type; None where the text is none, which a run refuses."""
    if tag == "boolean":
        return text == "true"
    if tag in ("int", "float"):
        try:
            number = float(text)
        except ValueError:
            return None
        return int(number) if tag == "int" and number.is_integer() else number
    return text
