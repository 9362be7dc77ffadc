"""Take sequences as people hold them in Python: frames, Arrow tables, arrays.

    a long table    pandas, Polars or Arrow: a row a step; a column names the row's sequence
    a list or dict  of arrays [T, F], or of tables with a row a step; of a dict, the keys are ids
    one array       [N, T, F], with the lengths of its sequences

All become `Steps`: columns by name, the sequences one after another. pandas and Polars are not
imported: their frames are read by Arrow.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract import kinds
from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import InputError
from ragline.components.serving.batches import Sequences

_SHOWN = 20
_EXPECTED = (
    "X: expected a table with a row a step, a list or dict of arrays [T, F], or an array [N, T, F]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Holds N sequences whose steps lie one after another, sorted by time within each.

    Attributes:
      ids: the N ids, in the order of the input.
      length: int64 [N], each at least 1.
      columns: name -> the column's values, [sum T].
      time: the times [sum T], if a column of them was named.
    """

    ids: Sequence[Any]
    length: np.ndarray
    columns: Mapping[str, pa.ChunkedArray]
    time: pa.ChunkedArray | None = None

    def number_column(self, name: str) -> np.ndarray:
        """Return a column as float32 [sum T], NaN = missing.

        Raises:
          InputError: it holds something else than numbers, or an infinite one.
        """
        column = self.columns[name]
        kind = column.type
        if not (pa.types.is_boolean(kind) or is_number(kind) or pa.types.is_null(kind)):
            raise InputError(f"column {name!r}: expected numbers, received {kind}")
        wide = column.cast(pa.float64(), safe=False).to_numpy()
        with np.errstate(over="ignore"):
            numbers: np.ndarray = wide.astype(np.float32)
        if len(infinite := np.flatnonzero(np.isinf(numbers))):
            raise InputError(
                f"column {name!r}, sequence {self.id_of(infinite[0])!r}: expected a finite "
                f"float32, received {wide[infinite[0]]} (infinity)"
            )
        return numbers

    def word_column(self, name: str, kind: str) -> np.ndarray:
        """Return a category's column: object of str, "" = missing, or int64, [sum T].

        Raises:
          InputError: it holds something else.
        """
        column = self.columns[name]
        of_words = kinds.is_text(kind)
        expected = "text" if of_words else "integers"
        fits = is_text(column.type) if of_words else pa.types.is_integer(column.type)
        if not (fits or (of_words and pa.types.is_null(column.type))):
            raise InputError(f"column {name!r}: expected {expected}, received {column.type}")
        if of_words:
            return np.array(column.cast(pa.string()).fill_null(""), object)
        if column.null_count:
            raise InputError(f"column {name!r}: expected integers, received missing ones, too")
        numbers: np.ndarray = column.cast(pa.int64()).to_numpy()
        return numbers

    def id_of(self, step: int) -> Any:
        """Return the id of the sequence that a flat step belongs to."""
        return self.ids[int(np.searchsorted(np.cumsum(self.length), step, side="right"))]

    def sequences(self, columns: Columns) -> Sequences:
        """Return what an encoder of these columns takes; columns are matched by name.

        Raises:
          InputError: a column is missing, is none of the encoder's, or holds something else.
        """
        expected = [*columns.names, *(category.name for category in columns.categories)]
        check_names(expected, self.columns)
        flat = [self.number_column(name) for name in columns.names]
        return Sequences(
            values=np.stack(flat, axis=1),
            length=self.length,
            tokens={
                category.key: self.word_column(category.name, category.kind)
                for category in columns.categories
            },
        )


def check_names(expected: Collection[str], received: Collection[str]) -> None:
    """Refuse columns that are missing, and those that nobody expects.

    Raises:
      InputError: it names them.
    """
    missing = [name for name in expected if name not in received]
    extra = [name for name in received if name not in expected]
    if missing or extra:
        lacks = f"lacks {_listed(missing)}" if missing else ""
        has = f"has {_listed(extra)}, which is none of them" if extra else ""
        raise InputError(
            f"X: expected the columns {_listed(expected)}; it "
            f"{' and '.join(filter(None, (lacks, has)))}"
        )


def _listed(names: Iterable[str]) -> str:
    named = [repr(name) for name in names]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"{', '.join(named[:_SHOWN])}{more}"


def read(
    data: Any,
    *,
    names: Sequence[str] | None = None,
    id: str | None = None,
    time: str | None = None,
    lengths: Any = None,
    words: Mapping[str, Any] | None = None,
) -> Steps:
    """Read sequences of any of the kinds that this module's docstring lists.

    Args:
      data: the sequences.
      names: names of the features of arrays, in order; None names them x0, x1 and so on.
      id: column of a long table that names a row's sequence.
      time: column of a table by which the steps of a sequence are sorted; None keeps their order.
      lengths: int [N], the valid steps of an array [N, T, F]; None takes all.
      words: beside arrays, category -> the N sequences' words, [T] each, or by id.

    Raises:
      InputError: the data are none of these, or do not fit together.
    """
    if lengths is not None and getattr(data, "ndim", 0) != 3:
        raise InputError(f"lengths: expected with an array [N, T, F], received {_shape(data)}")
    if (table := _as_table(data)) is not None:
        if words is not None:
            raise InputError("words: expected with arrays; of a table, they are columns of it")
        return _of_table(table, id, time)
    if hasattr(data, "toarray"):
        raise InputError(f"{_EXPECTED}; sparse data are not supported, received {_shape(data)}")
    if id is not None and not isinstance(data, Mapping):
        raise InputError(f"id: expected a table with the column {id!r}, received {_shape(data)}")
    if isinstance(data, Mapping):
        ids, items = [*data.keys()], [*data.values()]
    elif getattr(data, "ndim", None) == 3:
        ids, items = [*range(len(data))], _valid(np.asarray(data), lengths)
    elif isinstance(data, list | tuple) or np.dtype(object) == getattr(data, "dtype", None):
        ids, items = [*range(len(data))], [*data]
    else:
        raise InputError(f"{_EXPECTED}, received {_shape(data)}")
    tables = [_as_table(item) for item in items]
    if items and all(table is not None for table in tables):
        return _of_tables(ids, [table for table in tables if table is not None], time)
    if time is not None:
        raise InputError(f"time: expected tables with the column {time!r}, received arrays")
    return _of_arrays(ids, items, names, words or {})


def _shape(data: Any) -> str:
    shape = getattr(data, "shape", None)
    return type(data).__name__ if shape is None else f"{type(data).__name__} {list(shape)}"


def _as_table(data: Any) -> pa.Table | None:
    """Return a frame or an Arrow table as a table; None of anything else."""
    is_pandas = type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns")
    if not (is_pandas or isinstance(data, pa.RecordBatch) or hasattr(data, "__arrow_c_stream__")):
        return None
    names = [*map(str, data.columns)] if is_pandas else []
    try:
        if len({*names}) == len(names):
            table = (
                pa.Table.from_pandas(data, preserve_index=False) if is_pandas else pa.table(data)
            )
            names = table.column_names
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"X: expected columns of one type each: {error}") from error
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"X: expected each column once, received {twice[0]!r} several times")
    return pa.table({name: _plain(table.column(name)) for name in table.column_names})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without a dictionary (of categories), and text as Arrow 18 sorts it."""
    if pa.types.is_dictionary(column.type):
        parts = [_plain_text(part.dictionary).take(part.indices) for part in column.chunks]
        return pa.chunked_array(parts, parts[0].type if parts else column.type.value_type)
    return _plain_text(column)


def _plain_text(values: Any) -> Any:
    return values.cast(pa.string()) if pa.types.is_string_view(values.type) else values


def _of_table(table: pa.Table, id: str | None, time: str | None) -> Steps:
    if id is None:
        raise InputError(
            "id: expected the column of the table that names a row's sequence, received none; it "
            f"has {_listed(table.column_names)}"
        )
    column = _column(table, id, "id")
    if pc.any(pc.is_null(column, nan_is_null=True)).as_py():
        raise InputError(f"id: expected a value in every row of {id!r}, received none in some")
    coded = column.combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    codes = coded.indices.to_numpy(zero_copy_only=False)
    return _sorted(table.drop_columns([id]), coded.dictionary.to_pylist(), codes, time)


def _of_tables(ids: Sequence[Any], tables: Sequence[pa.Table], time: str | None) -> Steps:
    for place, table in enumerate(tables):
        check_names(tables[0].column_names, table.column_names)
        if not len(table):
            raise InputError(f"sequence {ids[place]!r}: expected at least one step, received none")
    try:
        whole = pa.concat_tables(
            [table.select(tables[0].column_names) for table in tables], promote_options="permissive"
        )
    except pa.ArrowException as error:
        raise InputError(f"X: expected columns of one type each: {error}") from error
    return _sorted(whole, ids, np.repeat(np.arange(len(ids)), [*map(len, tables)]), time)


def _column(table: pa.Table, name: str, role: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise InputError(
            f"{role}: expected a column {name!r}, received {_listed(table.column_names)}"
        )
    return table.column(name)


def _sorted(table: pa.Table, ids: Sequence[Any], codes: np.ndarray, time: str | None) -> Steps:
    """Put the rows of each sequence one after another, equal times in the order of the rows."""
    if not len(ids):
        raise InputError("X: expected at least one sequence, received none")
    if time is None:
        order = np.argsort(codes, kind="stable")
    else:
        order = np.lexsort((_times(_column(table, time, "time"), time), codes))
    if not np.array_equal(order, np.arange(len(order))):
        table = table.take(pa.array(order))
    return Steps(
        ids=ids,
        length=np.bincount(codes, minlength=len(ids)).astype(np.int64),
        columns={name: table.column(name) for name in table.column_names if name != time},
        time=None if time is None else table.column(time),
    )


def _times(column: pa.ChunkedArray, name: str) -> np.ndarray:
    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or is_number(kind)):
        raise InputError(
            f"time: expected numbers or timestamps in {name!r}, received {kind}; "
            "pandas.to_datetime or the like makes them of text"
        )
    if pc.any(pc.is_null(column, nan_is_null=True)).as_py():
        raise InputError(f"time: expected a time in every row of {name!r}, received none in some")
    times: np.ndarray = column.to_numpy()
    return times


def _valid(array: np.ndarray, lengths: Any) -> list[np.ndarray]:
    """Return the valid steps of each sequence of a padded array [N, T, F]."""
    if lengths is None:
        return [*array]
    length = np.asarray(lengths)
    if length.shape != array.shape[:1] or not np.issubdtype(length.dtype, np.integer):
        raise InputError(
            f"lengths: expected {len(array)} integers, received {list(length.shape)} of "
            f"{length.dtype}"
        )
    if len(bad := np.flatnonzero((length < 1) | (length > array.shape[1]))):
        raise InputError(
            f"lengths: expected 1 to {array.shape[1]}, received {length[bad[0]]} at {bad[0]}"
        )
    return [values[:steps] for values, steps in zip(array, length, strict=True)]


def _of_arrays(
    ids: Sequence[Any],
    items: Sequence[Any],
    names: Sequence[str] | None,
    words: Mapping[str, Any],
) -> Steps:
    arrays = [_matrix(item, id) for id, item in zip(ids, items, strict=True)]
    width = len(names) if names is not None else arrays[0].shape[1] if arrays else 0
    for id, array in zip(ids, arrays, strict=True):
        if not len(array) or array.shape[1] != width:
            raise InputError(
                f"sequence {id!r}: expected [T, {width}] with T >= 1, received {list(array.shape)}"
            )
    names = [f"x{place}" for place in range(width)] if names is None else names
    flat = np.concatenate([np.zeros((0, width)), *arrays])
    length = np.array([len(array) for array in arrays], np.int64)
    columns = {name: pa.chunked_array([column]) for name, column in zip(names, flat.T, strict=True)}
    columns |= {name: _words_of(name, given, ids, length) for name, given in words.items()}
    return Steps(ids=ids, length=length, columns=columns)


def _matrix(item: Any, id: Any) -> np.ndarray:
    """Return an array [T, F] of float64; an array [T] is one of a single feature."""
    array = np.asarray(item)
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: expected real numbers in sequence {id!r}")
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise InputError(f"sequence {id!r}: expected [T, F], received {list(array.shape)}")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sequence {id!r}: expected numbers: {error}") from error


def _words_of(name: str, given: Any, ids: Sequence[Any], length: np.ndarray) -> pa.ChunkedArray:
    by_id = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
    keys = ids if isinstance(given, Mapping) else range(len(ids))
    if len(by_id) != len(ids) or any(key not in by_id for key in keys):
        raise InputError(
            f"words: expected {len(ids)} sequences of {name!r}, received {len(by_id)}, or other ids"
        )
    parts = [pa.array([*by_id[key]]) for key in keys]
    for id, part, steps in zip(ids, parts, length, strict=True):
        if len(part) != steps:
            raise InputError(
                f"words: expected {steps} of {name!r} in sequence {id!r}, received {len(part)}"
            )
    kinds = {part.type for part in parts} - {pa.null()}
    if len(kinds) > 1:
        raise InputError(
            f"words: expected {name!r} of one type, received {sorted(map(str, kinds))}"
        )
    kind = kinds.pop() if kinds else pa.string()
    return pa.chunked_array([part.cast(kind) for part in parts], kind)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type is of integers, floats or decimals."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
