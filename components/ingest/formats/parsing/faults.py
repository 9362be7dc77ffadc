"""Gather the faults of records, column by column."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ragline.components.ingest.records.checks import RejectedRecord


@dataclass(slots=True, kw_only=True)
class Faults:
    """Holds the first fault of each of N records.

    Attributes:
      records: N.
      owner: int64 [cells], the record of each cell of the columns that are looked at; None where
        every record has one cell.
      rejects: record -> its fault.
    """

    records: int
    owner: np.ndarray | None = None
    rejects: dict[int, RejectedRecord] = field(default_factory=dict)

    def of_steps(self, length: np.ndarray) -> "Faults":
        """Return the same faults, for columns that hold `length` [N] cells of each record."""
        owner = np.repeat(np.arange(self.records), length)
        return Faults(records=self.records, owner=owner, rejects=self.rejects)

    def add(self, bad: np.ndarray, reject: Callable[[int, str], RejectedRecord]) -> None:
        """Give the records of the bad cells, a mask, a fault if they have none yet.

        Args:
          bad: bool [cells].
          reject: (a bad cell, where it is in its record, such as ", step 3") -> its fault.
        """
        cells = np.flatnonzero(bad)
        if not len(cells):
            return
        records, steps = cells, [""] * len(cells)
        if self.owner is not None:
            records, first = np.unique(self.owner[cells], return_index=True)
            cells = cells[first]
            steps = [f", step {step}" for step in cells - np.searchsorted(self.owner, records)]
        for record, cell, step in zip(records.tolist(), cells.tolist(), steps, strict=True):
            if record not in self.rejects:
                self.rejects[record] = reject(cell, step)

    @property
    def kept(self) -> np.ndarray:
        """Return bool [N], True for the records without a fault."""
        kept = np.ones(self.records, bool)
        kept[list(self.rejects)] = False
        return kept


def nulls(array: pa.Array) -> np.ndarray:
    """Return bool [cells], True where a cell is null."""
    return numpy_of(array.is_null())


def numpy_of(array: pa.Array) -> np.ndarray:
    """Convert cells to NumPy; a null number is NaN."""
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    return values


def refuse_nulls(what: str, expected: str, array: pa.Array, faults: Faults) -> None:
    """Make each null a fault."""
    if array.null_count:
        faults.add(
            nulls(array),
            lambda _, step: RejectedRecord(
                "null", f"{what}{step}: expected {expected}, received null"
            ),
        )


def refuse_overflow(what: str, bad: np.ndarray, array: pa.Array, faults: Faults) -> None:
    """Make each number that does not fit into int64 a fault."""
    faults.add(
        bad & ~nulls(array),
        lambda cell, step: RejectedRecord(
            "int_overflow", f"{what}{step}: expected an int64, received {str(array[cell])[:40]}"
        ),
    )


def refuse_text(what: str, expected: str, bad: np.ndarray, array: pa.Array, faults: Faults) -> None:
    """Make each text that a grammar does not take a fault."""
    faults.add(
        bad,
        lambda cell, step: RejectedRecord(
            "number_format",
            f"{what}{step}: expected {expected}, received {array[cell].as_py()[:40]!r}",
        ),
    )
