"""Define the options of ingest: the tables `[input]`, `[input.steps]` and `[quarantine]`."""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from ragline.components.contract.columns import DERIVED
from ragline.components.ingest import formats
from ragline.components.ingest.source import patterns
from ragline.components.ingest.steps import time_formats, times

# Stands for the file's name among the columns that name a row's sequence: a file is a sequence.
FILE = "{FILE}"
# Stands for the entity where each sequence is one of its own.
SEQUENCE = "{SEQUENCE}"
# The options that say which files are read and how they are split; all others say how.
_WHICH_FILES = (
    "train", "eval", "spans", "max_gap", "span", "eval_share", "eval_from", "allow_outside",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """Holds the `[input.steps]` table: how the steps of a record are sorted, cut and checked.

    They apply in this order: times are sorted, sessions cut, steps resampled, windows cut, lengths
    checked.

    Attributes:
      unsorted_time: of a sequence whose times do not rise: `sort` its steps, equal times in the
        order in which they were read, or `reject` it.
      duplicate_time: of steps with equal times: `keep` them all, keep the `first`, `merge` them
        into one that holds the last value observed of each column, or `reject` the sequence.
        `merge` also leaves out steps in which nothing was observed.
      negative_time: of a sequence with a time below 0: `keep` it, for a time is a place on a line
        whose origin is arbitrary, or `reject` it.
      session_gap: a pause of more than so many seconds starts a new sequence; unset: no cut.
      resample: of steps at irregular times, make one each so many seconds, of the mean of each
        number in them: for a label that depends on a period or a rate. Where nothing was observed,
        numbers are missing, or on the line between others where the schema lets none be missing;
        more than ten such steps for each one read are refused as too long. Unset: steps are kept.
      max_length: the most steps of a sequence; at 4,096, a batch of 32 takes about 400 MB of an
        LSTM of 64 units in training.
      too_long: a longer sequence is cut into a `window` every `stride` steps, keeps its `head` or
        its `tail`, or is sent to the quarantine by `reject`.
      stride: steps from one window's start to the next; unset: `max_length`, no overlap.
      align: whether windows are counted from a sequence's `start`, so that its last one may be
        short, or from its `end`, so that its first one may be: for what leads up to an event.
      min_length: the fewest steps. A record with fewer is rejected; a window or a session with
        fewer is left out, and counted in the account.
      missing: `schema` takes a missing value (NaN) where the schema lets the feature be missing;
        `reject` takes none.
      time_delta: fill the feature `time_delta`, which the schema must declare, with the seconds
        since the step before it, 0 at the first: for times at irregular distances.
      hour_of_day: fill the feature `hour_of_day` with the hours since midnight, by the clocks of
        `input.time_zone`, fractions included, of times that are dates.
      day_of_week: fill the feature `day_of_week`, likewise: Monday is 0, Sunday 6.
    """

    unsorted_time: Literal["sort", "reject"] = "sort"
    duplicate_time: Literal["keep", "first", "merge", "reject"] = "keep"
    negative_time: Literal["keep", "reject"] = "keep"
    session_gap: float | None = None
    resample: float | None = None
    max_length: int = 4096
    too_long: Literal["window", "head", "tail", "reject"] = "window"
    stride: int | None = None
    align: Literal["start", "end"] = "start"
    min_length: int = 1
    missing: Literal["schema", "reject"] = "schema"
    time_delta: bool = False
    hour_of_day: bool = False
    day_of_week: bool = False

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: expected at least 1, received {value}"
            for name in ("max_length", "min_length", "stride")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        if self.min_length > self.max_length:
            mistakes.append(
                f"min_length: expected at most max_length = {self.max_length}, "
                f"received {self.min_length}"
            )
        mistakes += [
            f"{name}: expected seconds above 0, received {value}"
            for name in ("session_gap", "resample")
            if (value := getattr(self, name)) is not None and not 0.0 < value < float("inf")
        ]
        if self.resample is not None and self.time_delta:
            mistakes.append("time_delta: expected false with resample, which makes it constant")
        if self.resample and self.session_gap and self.resample > self.session_gap:
            mistakes.append(
                f"resample: expected at most session_gap = {self.session_gap}, "
                f"received {self.resample}"
            )
        if self.stride is not None and self.stride > self.max_length:
            mistakes.append(
                f"stride: expected at most max_length = {self.max_length}, or steps would be left "
                f"out between windows; received {self.stride}"
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def derived(self) -> tuple[str, ...]:
        """Return the features that are filled from the times of the steps."""
        return tuple(name for name in DERIVED if getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """Holds the `[input]` table.

    Attributes:
      train: path or pattern of the raw files; with `eval` unset, both splits come from them. A
        `{SPAN}` in it stands for a number, `{SPAN:4}` for one of four digits, and `{YYYY}`, `{MM}`
        and `{DD}` for a date; the newest span is read. A `{name}` of small letters is a field: what
        it stands for in a file's name can be the entity, part of the id, or context.
      eval: path or pattern of the evaluation files, if the data has an official split.
      spans: the number of newest spans that are read together, a rolling window. All are trained
        on; only the newest is evaluated, and what falls to eval of older spans is left out.
      max_gap: the most spans in a row that may be missing inside of the window: days of a date,
        months or years where the pattern names no days or months, else numbers. 7 tolerates weekly
        deliveries and holidays. Missing spans are reported.
      span: the newest span that is read: its number or, of a date, the days since 1970-01-01;
        unset: the newest that there is. `ragline run --span` sets it.
      format: the format of the files; `auto` goes by the file's name and its
        first bytes; docs/extending.md says how another package adds one.
      group_by: columns of a long table, in which a row is a step, that name the row's sequence;
        `{FILE}` is the name of the row's file, `{name}` the value of that field of the pattern
        in it. Empty where a record is a whole sequence.
      id: the column of a record's id, where a record is a whole sequence; unset: `sequence_id` if
        it is there, else the file and the record's place in it.
      order_by: the column of a step's time: numbers in `time_unit`, or text as ISO 8601; unset: the
        order of the file.
      time_unit: the unit of times that are numbers.
      time_format: of times that are text, in the directives of Python's strptime, such as
        `%d.%m.%Y %H:%M:%S`; unset: ISO 8601. Numbers are read by it as well: `%Y%m%d`. A format
        without a day counts from 0, also beyond 24 hours.
      time_zone: of times that state no offset, such as `Europe/Berlin`; unset: UTC.
      date: the column of the day, of tables in which `order_by` holds the time of the day alone;
        the two are read as one text, a blank between them.
      entity: the column of the entity, or `{SEQUENCE}`, each sequence is one; unset: `entity_id` if
        it is there, else the first column of `group_by`, else each sequence is its own entity.
      variable: the column, of a table in which a row is one measurement, that names what was
        measured: a feature, a category or a context column of the schema; rows of others are not
        read. It needs `steps.duplicate_time = "merge"`, and features that may be missing.
      value: the column of the measured value, where `variable` is given.
      columns: the names of a CSV file's columns, in order, where its first line is no header.
      delimiter: the character between the cells of a CSV file; a blank stands for runs of blanks
        and tabs; unset: detected among `,` `;` tab, `|` and blanks.
      decimal: the mark between a CSV file's whole numbers and fractions. `.` and `,` also take the
        other mark, a blank or an apostrophe between groups of three digits, and a per cent sign,
        which is left out: 5% is 5. `strict` takes digits with a `.` alone.
      padding_value: of NumPy archives of padded arrays without lengths, the number that stands in
        padding, or `nan`: trailing steps that hold nothing but this value are dropped.
      missing_text: cells that stand for a missing value; an empty one does only if "" is among
        them.
      duplicate_id: of records with the same id, the later ones go to the quarantine, or the run is
        stopped by `abort`.
      eval_share: the share of the entities that go to eval, by a hash of the entity, where neither
        `eval` nor `eval_from` is given; 0.2 is the usual hold-out.
      eval_from: an ISO 8601 time; sequences that start then or later go to eval, the others to
        train. A later sequence of an entity of the train split goes to the quarantine.
      allow_outside: take files that a link or `..` puts outside the folder of the pattern.
      steps: how the steps of a record are sorted, cut and checked.
    """

    train: str
    eval: str | None = None
    spans: int = 1
    max_gap: int = 7
    span: int | None = None
    format: Annotated[str, formats.NAMES] = formats.AUTO
    group_by: tuple[str, ...] = ()
    id: str | None = None
    order_by: str | None = None
    time_unit: times.Unit = "s"
    time_format: str | None = None
    time_zone: str | None = None
    date: str | None = None
    entity: str | None = None
    variable: str | None = None
    value: str | None = None
    columns: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: Literal["strict", ".", ","] = "strict"
    padding_value: float | None = None
    missing_text: tuple[str, ...] = ("NaN", "?")
    duplicate_id: Literal["quarantine", "abort"] = "quarantine"
    eval_share: float = 0.2
    eval_from: str | None = None
    allow_outside: bool = False
    steps: StepOptions = field(default_factory=StepOptions)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: expected a path or a pattern, received an empty string"
            for name in ("train", "eval")
            if getattr(self, name) == ""
        ]
        mistakes += formats.NAMES.mistakes("format", self.format)
        if not 0.0 < self.eval_share < 1.0:
            mistakes.append(
                f"eval_share: expected a share between 0 and 1, received {self.eval_share}"
            )
        if self.spans < 1:
            mistakes.append(f"spans: expected at least 1, received {self.spans}")
        if self.max_gap < 0:
            mistakes.append(f"max_gap: expected at least 0, received {self.max_gap}")
        names_spans = "{SPAN" in self.train or "{YYYY}" in self.train
        mistakes += [
            f"{name}: expected {{SPAN}} or {{YYYY}} in train with it, received {self.train}"
            for name, is_set in (("spans", self.spans > 1), ("span", self.span is not None))
            if is_set and not names_spans
        ]
        if self.group_by and not self._may_be_table:
            mistakes.append(
                f"group_by: a record of {self.format} is a whole sequence; expected no columns, "
                f"received {', '.join(self.group_by)}"
            )
        if self.id is not None and self.group_by:
            mistakes.append(
                f"id: expected it of records that are whole sequences; group_by, "
                f"{', '.join(self.group_by)}, makes the ids of rows; received {self.id!r}"
            )
        if twice := [name for name in self.columns if self.columns.count(name) > 1]:
            mistakes.append(f"columns: expected each name once, received {twice[0]!r} twice")
        if self.eval is not None and set(patterns.fields(self.eval)) != set(self.fields):
            mistakes.append(
                f"eval: expected the same fields as in train, {', '.join(self.fields) or 'none'}; "
                f"received {', '.join(patterns.fields(self.eval)) or 'none'}"
            )
        if (self.variable is None) != (self.value is None):
            mistakes.append("variable, value: expected both or neither, received one")
        if self.variable is not None and not (self.group_by and self.order_by):
            mistakes.append("variable: expected group_by and order_by with it")
        if self.variable is not None and self.steps.duplicate_time != "merge":
            mistakes.append(
                "variable: expected steps.duplicate_time = 'merge' with it, received "
                f"{self.steps.duplicate_time!r}"
            )
        if self.delimiter is not None and len(self.delimiter.encode()) != 1:
            mistakes.append(f"delimiter: expected one character, received {self.delimiter!r}")
        if self.entity == FILE and FILE not in self.group_by:
            mistakes.append(f"entity: expected {FILE} in group_by with it, received {self.entity}")
        mistakes += self._mistakes_of_time()
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def _may_be_table(self) -> bool:
        """Return whether a row can be a step, or nothing is known of that yet."""
        is_known = self.format in formats.FORMATS
        return not is_known or formats.of(self.format).is_table

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the names that the patterns have fields of."""
        return patterns.fields(self.train)

    @property
    def times(self) -> times.Spelling:
        """Return how times are written."""
        return times.Spelling(unit=self.time_unit, format=self.time_format, zone=self.time_zone)

    def _mistakes_of_time(self) -> list[str]:
        mistakes = []
        if self.order_by is None:
            mistakes += [
                f"steps.{name}: expected order_by with it, received none"
                for name in ("session_gap", "resample")
                if getattr(self.steps, name) is not None
            ]
            mistakes += [
                f"steps.{name}: expected order_by with it, received none"
                for name in self.steps.derived
            ]
            if self.eval_from is not None:
                mistakes.append("eval_from: expected order_by with it, received none")
            if self.date is not None:
                mistakes.append("date: expected order_by with it, received none")
        if self.time_format is not None:
            try:
                time_formats.pattern(self.time_format)
            except ValueError as error:
                mistakes.append(f"time_format: {error}")
        if self.time_zone is not None and not times.is_zone(self.time_zone):
            mistakes.append(
                f"time_zone: expected a name such as Europe/Berlin, received {self.time_zone!r}"
            )
        if self.eval_from is not None:
            try:
                times.parse_time(self.eval_from)
            except ValueError as error:
                mistakes.append(f"eval_from: {error}")
            if self.eval is not None:
                mistakes.append("eval_from: expected it without eval, which gives the split")
        return mistakes


def input_facts(options: InputOptions) -> dict[str, Any]:
    """Return what an encoder states of its input: how files of its kind are read.

    Returns:
      `options`, the keys of `[input]` that decide how a file is read, with their values; and
      `fields`, the names of the fields in the pattern.
    """
    stated = dataclasses.asdict(options)
    for name in _WHICH_FILES:
        del stated[name]
    return {"options": stated, "fields": list(options.fields)}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineOptions:
    """Holds the `[quarantine]` table.

    Attributes:
      max_share: the share of the records read that may be rejected before the run stops with exit
        code 3; 1% passes a stray record and stops a broken delivery.
    """

    max_share: float = 0.01

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_share <= 1.0:
            raise ValueError(f"max_share: expected a share from 0 to 1, received {self.max_share}")
