"""Name the kinds of values that a column of records holds, and choose by them.

    pick(kind, text=pa.string(), integer=pa.int64(), number=pa.float64())

Nothing else compares a kind: whoever needs something for each says what, of all three.
"""

from typing import Literal, TypeVar

# As tf.train.Example has its lists, without `_list`.
Kind = Literal["bytes", "int", "float"]
TokenKind = Literal["bytes", "int"]
TEXT: Literal["bytes"] = "bytes"
INTEGER: Literal["int"] = "int"
NUMBER: Literal["float"] = "float"

_Choice = TypeVar("_Choice")


def pick(kind: str, *, text: _Choice, integer: _Choice, number: _Choice) -> _Choice:
    """Return what is given for a kind."""
    return {TEXT: text, INTEGER: integer, NUMBER: number}[kind]


def is_text(kind: str) -> bool:
    """Return whether values are texts."""
    return kind == TEXT


def is_integer(kind: str) -> bool:
    """Return whether values are integers."""
    return kind == INTEGER


def is_number(kind: str) -> bool:
    """Return whether values are numbers, with a fraction or without."""
    return kind == NUMBER
