"""Cut records into sessions at long pauses, and sessions into windows.

A *session* is a run of a record's steps without a long pause; a record without pauses is one. A
*piece* is what becomes a sequence: a session, or if that is too long a window of it, its head or
its tail. With `max_length` 4 and `stride` 3, a session of 9 steps gives the windows

    [0:4]  [3:7]  [6:9]

of which each has a step that none before it has. Only the last one of a session can be short. With
`align = "end"` they are counted from the last step, which is then the last of a whole window, and
only the first one can be short:

    [0:3]  [2:6]  [5:9]
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from ragline.components.ingest.options import StepOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Holds P pieces of N records, in the records' order.

    Attributes:
      record: int64 [P], the place of the record.
      session: int64 [P], the place of the session in the record, from 1; 0 where the record is one
        session.
      begin: int64 [P], where the session begins in the flat columns.
      steps: int64 [P], the number of steps of the session.
      start: int64 [P], the first step of the piece, counted within its session.
      stop: int64 [P], the end of its steps, exclusive.
    """

    record: np.ndarray
    session: np.ndarray
    begin: np.ndarray
    steps: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.record)

    @property
    def length(self) -> np.ndarray:
        """Return the number of steps of each piece, int64 [P]; 0 for a record without steps."""
        length: np.ndarray = self.stop - self.start
        return length

    @property
    def first(self) -> np.ndarray:
        """Return the place of each piece's first step in the flat columns, int64 [P]."""
        first: np.ndarray = self.begin + self.start
        return first

    @property
    def is_cut(self) -> np.ndarray:
        """Return whether each piece is less than its session, bool [P]."""
        is_cut: np.ndarray = self.length < self.steps
        return is_cut

    def select(self, kept: np.ndarray | slice) -> "Pieces":
        """Return the pieces of a bool mask [P], at some places, or of a range, in order."""
        return Pieces(**{f.name: getattr(self, f.name)[kept] for f in dataclasses.fields(self)})


def cut(length: np.ndarray, after_pause: np.ndarray | None, options: StepOptions) -> Pieces:
    """Cut records into pieces; with `reject`, a long session is left whole, for a refusal.

    Args:
      length: int64 [N], the steps of each record; their sum is T.
      after_pause: bool [T], whether a long pause came before the step; None if there was none. Its
        values at the first steps of records are not read.
      options: the policies, of which `max_length`, `too_long`, `stride` and `align` are read.
    """
    sessions = _sessions(length, after_pause)
    most, steps = options.max_length, sessions.steps
    long = steps > most
    if options.too_long == "head":
        return dataclasses.replace(sessions, stop=np.minimum(steps, most))
    if options.too_long == "tail":
        return dataclasses.replace(sessions, start=np.maximum(steps - most, 0))
    if options.too_long == "reject" or not long.any():
        return sessions
    stride = options.stride or most
    windows = np.where(long, 1 + -(-(steps - most) // stride), 1)
    session, window = _owners(windows)
    if options.align == "end":
        stop = steps[session] - (windows[session] - 1 - window) * stride
        start = np.maximum(stop - most, 0)
    else:
        start = window * stride
        stop = np.minimum(start + most, steps[session])
    return dataclasses.replace(sessions.select(session), start=start, stop=stop)


def _sessions(length: np.ndarray, after_pause: np.ndarray | None) -> Pieces:
    """Return each session as a piece."""
    starts, some = np.cumsum(length) - length, length > 0
    begins = np.zeros(length.sum(), bool) if after_pause is None else after_pause.copy()
    begins[starts[some]] = True
    session_begins = np.flatnonzero(begins)
    # A record without steps is one session without steps.
    number = np.ones_like(length)
    number[some] = np.diff(
        np.searchsorted(session_begins, starts[some]), append=len(session_begins)
    )
    record, ordinal = _owners(number)
    begin, steps = starts[record], length[record]
    begin[some[record]] = session_begins
    steps[some[record]] = np.diff(session_begins, append=len(begins))
    return Pieces(
        record=record,
        session=np.where(number[record] > 1, 1 + ordinal, 0),
        begin=begin,
        steps=steps,
        start=np.zeros_like(steps),
        stop=steps,
    )


def _owners(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of [2, 1, 3], the owners [0, 0, 1, 2, 2, 2] and the places [0, 1, 0, 0, 1, 2]."""
    owner = np.repeat(np.arange(len(number)), number)
    return owner, np.arange(len(owner)) - (np.cumsum(number) - number)[owner]
