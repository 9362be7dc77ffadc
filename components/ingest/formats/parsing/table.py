"""Tell which column of a table means what, and convert rows of cells to `Rows`.

A table must have every feature and category of the schema, the columns that the options name, and
nothing else; context columns are taken where they are there, and other columns are not read.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.parsing import cells
from ragline.components.ingest.formats.parsing.faults import Faults
from ragline.components.ingest.options import FILE, SEQUENCE, InputOptions
from ragline.components.ingest.records.chunk import File, QuarantineLine, Rows, dtypes
from ragline.components.ingest.steps.times import Spelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """States which columns of a table are read.

    Attributes:
      columns: the columns of the schema.
      times: the spelling of times.
      features: the features of the schema that the table must hold.
      categories: the categories of the schema.
      group_by: the columns by which rows are grouped; none where a row is a sequence.
      sequence: the column of the id, where a row is a sequence and there is one.
      entity: the column of the entity, if there is one.
      must_have_entity: whether a null entity is a fault, and not simply none.
      time: the column of the steps' times, if there is one.
      date: the column of their days, where `time` is the time of the day alone.
      variable: the column that names what each row measures, if a row is one measurement.
      value: the column of what was measured, then.
      length: the column of a stated length, where a row is a sequence and there is one.
      context: the context columns of the schema that the table holds.
      fields: names that the pattern of the files has, whose values are in a file's name.
    """

    columns: Columns
    times: Spelling
    features: tuple[str, ...]
    categories: tuple[str, ...]
    group_by: tuple[str, ...]
    sequence: str | None
    entity: str | None
    must_have_entity: bool
    time: str | None
    length: str | None
    context: tuple[str, ...]
    date: str | None = None
    variable: str | None = None
    value: str | None = None
    fields: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Return columns that hold a value a step."""
        measured = (*self.features, *self.categories)
        if self.variable and self.value:
            measured = (self.variable, self.value)
        return (*measured, *(name for name in (self.date, self.time) if name))

    @property
    def measured(self) -> tuple[str, ...]:
        """Return the columns of the schema, of a table in which a row is one measurement."""
        return (*self.features, *self.categories, *self.columns.context)

    @property
    def records(self) -> tuple[str, ...]:
        """Return columns that hold a value a sequence, where a row is one."""
        bookkeeping = [c for c in (self.sequence, self.entity, self.length) if c]
        return (*(c for c in bookkeeping if c != FILE and c not in self.fields), *self.context)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return columns that say whose a row is, where it is a step, each once."""
        named = dict.fromkeys((*self.group_by, *([self.entity] if self.entity else [])))
        return tuple(name for name in named if name != FILE and name not in self.fields)

    @property
    def all(self) -> tuple[str, ...]:
        """Return every column that is read, each once."""
        return tuple(dict.fromkeys((*self.ids, *self.steps, *self.records)))


def wanted(columns: Columns, options: InputOptions) -> tuple[str, ...]:
    """Return the columns that a table must have, those of its steps first."""
    measured: tuple[str | None, ...] = (*_features(columns, options), *_categories(columns))
    if options.variable:
        measured = (options.variable, options.value)
    stated = (*options.group_by, options.date, options.order_by, options.entity, options.id)
    named = dict.fromkeys((*measured, *stated))
    elsewhere = (FILE, SEQUENCE, *options.fields)
    return tuple(name for name in named if name and name not in elsewhere)


def layout(names: Collection[str], columns: Columns, options: InputOptions, file: str) -> Layout:
    """Return what the columns of a file mean.

    Args:
      names: the columns that the file has.
      columns: what the schema says.
      options: what the configuration says.
      file: its path, for the error.

    Raises:
      BadDataError: `missing_column`.
    """
    if absent := [name for name in wanted(columns, options) if name not in names]:
        raise BadDataError(
            "missing_column",
            f"{file}: expected the columns {', '.join(map(repr, absent))}, "
            f"received {', '.join(map(repr, list(names)[:50]))}",
        )
    entity = options.entity or (ENTITY_ID if ENTITY_ID in names else None)
    if options.group_by:
        entity = entity or options.group_by[0]
    nested = not options.group_by
    if entity == SEQUENCE or (nested and entity in options.fields):
        entity = None
    if options.variable and (odd := [c.name for c in columns.categories if not c.is_text]):
        raise BadDataError(
            "type",
            f"{file}: category {odd[0]!r}: expected type BYTES in the schema where a row is one "
            "measurement, received INT",
        )
    return Layout(
        columns=columns,
        times=options.times,
        features=_features(columns, options),
        categories=_categories(columns),
        group_by=options.group_by,
        sequence=options.id or (SEQUENCE_ID if nested and SEQUENCE_ID in names else None),
        entity=entity,
        must_have_entity=bool(entity and (options.entity or options.group_by)),
        time=options.order_by,
        length=LENGTH if nested and LENGTH in names else None,
        context=tuple(
            name for name in columns.context if name in names and name not in options.fields
        ),
        date=options.date,
        variable=options.variable,
        value=options.value,
        fields=options.fields,
    )


def measured(
    table: Mapping[str, pa.Array], read: Layout
) -> tuple[dict[str, pa.Array], np.ndarray | None]:
    """Turn a table in which a row is one measurement into one with the columns of the schema.

    Args:
      table: column -> N cells.
      read: the meaning of the columns.

    Returns:
      Column -> K cells, null where a row is of another one; and bool [N], the K rows that are read:
      None for all of them, of any other table, whose columns stay as they are.
    """
    if not read.variable or not read.value:
        return dict(table), None
    names = cells.plain(table[read.variable]).cast(pa.string())
    kept = pc.fill_null(pc.is_in(names, pa.array(read.measured, pa.string())), False)
    names, values = names.filter(kept), cells.plain(table[read.value]).filter(kept)
    columns = {name: column.filter(kept) for name, column in table.items()}
    nothing = pa.scalar(None, values.type)
    of_variables = {
        name: pc.if_else(pc.equal(names, name), values, nothing) for name in read.measured
    }
    of_variables = {n: c for n, c in of_variables.items() if n not in read.context}
    return columns | of_variables, np.asarray(kept)


def time_of(table: Mapping[str, pa.Array], read: Layout) -> pa.Array | None:
    """Return the cells of the time, after those of the day where another column has that."""
    if not read.time:
        return None
    time = table[read.time]
    if not read.date:
        return time
    day, clock = (cells.plain(column).cast(pa.string()) for column in (table[read.date], time))
    return pc.binary_join_element_wise(day, clock, " ")


def values_of(
    steps: Mapping[str, pa.Array], read: Layout, faults: Faults, size: int
) -> dict[str, np.ndarray]:
    """Return the features and categories of steps, all of the schema; 0 for what policies fill.

    Args:
      steps: column -> its `size` cells.
      read: the meaning of the columns.
      faults: of the records that the cells belong to.
      size: how many cells a column has.
    """
    values = {name: np.zeros(size, dtype) for name, dtype in dtypes(read.columns).items()}
    for feature in read.columns.features:
        if feature.name in read.features:
            column = steps[feature.name]
            absent = feature.allow_missing or read.variable is not None
            values[feature.name] = cells.numbers(feature.name, column, absent, faults)
    for category in read.columns.categories:
        convert = category.pick(words=cells.words, ids=cells.codes)
        values[category.name] = convert(category.name, steps[category.name], faults)
    return values


def context_of(
    records: Mapping[str, pa.Array], read: Layout, faults: Faults
) -> dict[str, np.ndarray]:
    """Return object [N] of every context column of the schema, None where it is absent."""
    context = {name: np.full(faults.records, None, object) for name in read.columns.context}
    for name in read.columns.context if read.variable else read.context:
        if name in records:
            context[name] = cells.context(name, records[name], read.columns, faults)
    return context


@dataclass(frozen=True, slots=True)
class Ids:
    """States whose each row is.

    Attributes:
      sequence: object [N], None where it cannot be told.
      entity: object [N], or None where a sequence is its own entity.
    """

    sequence: np.ndarray
    entity: np.ndarray | None


def ids_of(table: Mapping[str, pa.Array], read: Layout, faults: Faults, file: File) -> Ids:
    """Return whose each row is, where rows are steps; one that does not say is a fault.

    Args:
      table: column -> its N cells.
      read: the meaning of the columns.
      faults: of the N rows.
      file: in which the rows are.
    """
    parts = {name: cells.identifiers(name, table[name], faults, required=True) for name in read.ids}
    parts[FILE] = cells.repeated(file.name, faults.records)
    parts |= {name: cells.repeated(value, faults.records) for name, value in file.fields.items()}
    named = [parts[name] for name in read.group_by]
    sequence = cells.joined(named).cells
    for part in named:
        sequence[part.absent] = None
    own = read.entity is None or read.group_by == (read.entity,)
    return Ids(sequence, None if own or read.entity is None else parts[read.entity].cells)


def empty_file(file: File, layout: Layout, number: int) -> Iterator[Rows]:
    """Yield what a file without rows is where each file is a sequence: one that is rejected.

    Args:
      file: without rows.
      layout: the meaning of the columns.
      number: of the row that is missing.
    """
    if layout.group_by != (FILE,):
        return
    detail = "expected at least one row, received a file that has none"
    rejected = QuarantineLine(
        number=number, code="empty", detail=detail, sequence_id=file.name, text=""
    )
    nothing = np.zeros(0, object)
    yield Rows(
        file=file.index,
        number=np.zeros(0, np.int64),
        sequence_id=nothing,
        entity_id=None,
        values={name: np.zeros(0, dtype) for name, dtype in dtypes(layout.columns).items()},
        time=np.zeros(0, np.int64) if layout.time else None,
        context=dict.fromkeys(layout.columns.context, nothing),
        split=file.split,
        rejected=(rejected,),
    )


def rows_of(
    *,
    number: np.ndarray,
    ids: Ids,
    steps: Mapping[str, pa.Array],
    time: pa.Array | None,
    context: Mapping[str, pa.Array],
    file: File,
    layout: Layout,
    faults: Faults,
    texts: Callable[[np.ndarray], Collection[str]],
) -> Rows:
    """Convert cells, a row a step, to Rows; the rows with a fault are rejected.

    Args:
      number: int64 [N], each row's place in the file.
      ids: whose each row is.
      steps: column -> N cells, of features and categories.
      time: N cells, or None.
      context: column -> N cells.
      file: in which the rows are.
      layout: the meaning of the columns.
      faults: of the N rows, so far.
      texts: places of rows -> each as it shows in the quarantine.
    """
    values = values_of(steps, layout, faults, len(number))
    when = None
    if layout.time:
        when = cells.nanoseconds(layout.time, time, layout.times, faults)
    stated = context_of(context, layout, faults)
    kept = faults.kept
    refused = np.flatnonzero(~kept)
    return Rows(
        file=file.index,
        number=number[kept],
        sequence_id=ids.sequence[kept],
        entity_id=None if ids.entity is None else ids.entity[kept],
        values={name: column[kept] for name, column in values.items()},
        time=None if when is None else when[kept],
        context={name: column[kept] for name, column in stated.items()},
        split=file.split,
        rejected=tuple(
            QuarantineLine(
                number=int(number[place]),
                code=faults.rejects[place].code,
                detail=faults.rejects[place].detail,
                sequence_id=ids.sequence[place],
                text=text,
            )
            for place, text in zip(refused.tolist(), texts(refused), strict=True)
        ),
    )


def _features(columns: Columns, options: InputOptions) -> tuple[str, ...]:
    # The feature that a policy fills in from the times is in no file.
    filled = options.steps.derived
    return tuple(name for name in columns.names if name not in filled)


def _categories(columns: Columns) -> tuple[str, ...]:
    return tuple(category.name for category in columns.categories)
