"""Which records of a Chunk are refused, and why."""

from collections.abc import Callable

import numpy as np

from ragline.components.ingest.records.chunk import Chunk, Rejected


class Refusals:
    """The first reason of each record that is refused."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._reasons: dict[int, tuple[str, str]] = {}

    def add(
        self, code: str, record: np.ndarray, places: np.ndarray, detail: Callable[[int], str]
    ) -> None:
        """Refuses records.

        Args:
          code: what is wrong.
          record: int64 [K], the records' places in the Chunk; one may stand there several times.
          places: int64 [K], where each is wrong; of several, the first one is told.
          detail: such a place -> what, expected and received.
        """
        found, first = np.unique(record, return_index=True)
        for refused, place in zip(found.tolist(), places[first].tolist(), strict=True):
            if refused not in self._reasons:
                self._reasons[refused] = (code, detail(place))

    @property
    def mask(self) -> np.ndarray:
        """The records that are refused, bool [N]."""
        mask = np.zeros(len(self._chunk), bool)
        mask[list(self._reasons)] = True
        return mask

    def rejected(self) -> tuple[Rejected, ...]:
        """The records that are refused, in order."""
        reasons = sorted(self._reasons.items())
        return tuple(self._chunk.rejected(place, *reason) for place, reason in reasons)
