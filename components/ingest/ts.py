"""The .ts format of the UEA/UCR time series archive.

A header of `@key value` lines ends at `@data`; each line after it is one sequence: features
separated by `:`, their values by `,`, and last the class label or the regression target, if the
header says so. `?` and `NaN` are missing values. Features have no names there: they take the
schema's, in order.

Source: the aeon toolkit's description of the format, www.aeon-toolkit.org, "The .ts file format".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from components.errors import BadDataError
from components.ingest import checks
from components.ingest.checks import Reject
from components.sequence import Columns, ContextValue, Sequence

LABEL = "label"
TARGET = "target"
_MISSING = ("?", "NaN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the header of a .ts file says.

    Attributes:
      lines: how many lines it takes, `@data` included.
      context: the context column that the last field of a line holds, if any.
    """

    lines: int
    context: str | None


def read_header(lines: Iterable[bytes], columns: Columns, file: str) -> Header:
    """Reads the header of a .ts file and checks it against the schema.

    Raises:
      BadDataError: there is no `@data`, the file has timestamps, or another number of features.
    """
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.decode("utf-8", errors="replace").strip()
        if text.lower() == "@data":
            _check(keys, columns, file)
            return Header(lines=number, context=_context(keys))
        if text.startswith("@"):
            key, _, value = text[1:].partition(" ")
            keys[key.lower()] = value.strip()
        elif text and not text.startswith("#"):
            break
    raise BadDataError("bad_header", f"{file}: expected a header that ends with a line @data")


def parse(text: bytes, columns: Columns, default_id: str, header: Header) -> Sequence:
    """One line after `@data` -> one sequence, its own entity.

    Raises:
      Reject: the line is not one; the code and the detail say why.
    """
    fields = [field.strip() for field in text.split(b":")]
    context = _context_value(fields.pop(), header.context, columns) if header.context else {}
    if len(fields) != len(columns.features):
        raise Reject(
            "bad_dim",
            f"expected {len(columns.features)} features, received {len(fields)}",
        )
    if not any(fields):
        raise Reject("empty", "expected at least one step, received none")
    features = {
        name: checks.parse_numbers(field) for name, field in zip(columns.names, fields, strict=True)
    }
    return checks.assemble(
        columns=columns, features=features, sequence_id=default_id, context=context
    )


def _context_value(field: bytes, name: str, columns: Columns) -> Mapping[str, ContextValue]:
    try:
        value = field.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Reject("encoding", f"expected UTF-8: {error.reason} at byte {error.start}") from error
    if name not in columns.context or value in _MISSING:
        return {}
    kind = columns.context[name]
    if kind == "bytes":
        return {name: value}
    numbers = checks.parse_numbers(field)
    if len(numbers) > 1 or (kind == "int" and not numbers[0].is_integer()):
        raise Reject("type", f"column {name!r}: expected one {kind}, received {value[:40]!r}")
    # An int64 does not fit into the float64 that its text was checked as.
    number = int(Decimal(value)) if kind == "int" else float(numbers[0])
    return checks.context_of(columns, {name: number})


def _context(keys: Mapping[str, str]) -> str | None:
    for key, column in (("classlabel", LABEL), ("targetlabel", TARGET)):
        if keys.get(key, "false").lower().startswith("true"):
            return column
    return None


def _check(keys: Mapping[str, str], columns: Columns, file: str) -> None:
    if keys.get("timestamps", "false").lower() == "true":
        raise BadDataError("bad_header", f"{file}: @timeStamps true is not read; expected false")
    stated = "1" if keys.get("univariate", "").lower() == "true" else keys.get("dimensions")
    if stated is not None and stated != str(len(columns.features)):
        raise BadDataError(
            "bad_dim",
            f"{file}: @dimensions: expected {len(columns.features)}, as the schema has features, "
            f"received {stated}",
        )
