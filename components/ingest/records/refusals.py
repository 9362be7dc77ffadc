"""Collect which records of a Chunk are rejected, and for what first reason."""

from collections.abc import Callable, Mapping

import numpy as np

from ragline.components.ingest.records.chunk import Chunk, Part, QuarantineLine


class Refusals:
    """Collects the records of a Chunk that are rejected, each with its first reason."""

    def __init__(self, chunk: Chunk, reasons: Mapping[int, tuple[str, str]] | None = None) -> None:
        """Reject those records of a Chunk that `reasons` names, and no other yet.

        Args:
          chunk: N records.
          reasons: place -> (code, detail), of those records that are rejected from the start.
        """
        self._chunk = chunk
        self._reasons = dict(reasons or {})

    def add(
        self, code: str, record: np.ndarray, places: np.ndarray, detail: Callable[[int], str]
    ) -> None:
        """Reject records, but for those that are rejected already.

        Args:
          code: a code of `checks`.
          record: int64 [K], the records' places in the Chunk; a record may occur several times.
          places: int64 [K], where each is wrong; of several, the first is reported.
          detail: such a place -> what, expected and received.
        """
        rejected, first = np.unique(record, return_index=True)
        for index, place in zip(rejected.tolist(), places[first].tolist(), strict=True):
            if index not in self._reasons:
                self._reasons[index] = (code, detail(place))

    @property
    def mask(self) -> np.ndarray:
        """Return whether each record is rejected, bool [N]."""
        mask = np.zeros(len(self._chunk), bool)
        mask[list(self._reasons)] = True
        return mask

    def rejected(self) -> tuple[QuarantineLine, ...]:
        """Return the rejected records, in order, as lines of the quarantine."""
        reasons = sorted(self._reasons.items())
        return tuple(self._chunk.rejected(place, *reason) for place, reason in reasons)

    def part(self) -> Part:
        """Return the records that are not rejected, and the rejected ones beside them."""
        return Part(chunk=self._chunk.select(~self.mask), rejected=self.rejected())
