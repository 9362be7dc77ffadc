"""Recognise texts of numbers: which decimal mark, which texts stand for a missing value."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.ingest.formats.parsing import texts

# What stands for a missing value in other people's tables.
MISSING = (
    "", "NaN", "nan", "NAN", "-nan", "NA", "N/A", "n/a", "na", "<NA>", "NaT", "null", "NULL",
    "Null", "None", "none", "nil", "?", "-", "--", "---", ".", "\\N", "#N/A", "#NA", "#VALUE!",
    "#DIV/0!", "#NUM!", "missing", " ",
)  # fmt: skip
_NUMBER = r"\A[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\z"
_INTEGER = r"\A[+-]?[0-9]{1,18}\z"
# The readers' grammar first; then those that `input.decimal` must state, thousands before
# fractions: 1,234 is 1234, unless other cells are such as 0,5.
_MARKS = (None, ".", ",")
_PEEKED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Holds texts as numbers; the other attributes are as of a Column.

    Attributes:
      is_integer: whether none has a fraction.
    """

    is_integer: bool
    cells: pa.Array
    strange: tuple[str, ...]
    strange_cells: int
    decimal: str | None
    percent: bool


def without_missing(array: pa.Array) -> tuple[pa.Array, tuple[str, ...]]:
    """Return texts, null for those that stand for a missing value; and which those are."""
    absent = pc.is_in(array, pa.array(MISSING))
    seen = set(pc.unique(array.filter(absent)).to_pylist())
    return pc.if_else(absent, None, array), tuple(text for text in MISSING if text in seen)


def of(stated: pa.Array, *, most_strange: float) -> Numbers | None:
    """Convert texts to numbers, in the spelling of most of them; None if too few are numbers.

    Args:
      stated: N texts, null where nothing stands.
      most_strange: the share of them that may be no numbers.
    """
    some = stated.drop_null()
    peeked = some.slice(0, _PEEKED)
    best: tuple[float, str | None] = (1.0, None)
    for mark in _MARKS:
        if best[0] == 0:
            break
        if _strange_share(peeked, mark) < 0.5:
            best = min(best, (_strange_share(some, mark), mark), key=lambda pair: pair[0])
    if best[0] > most_strange:
        return None
    mark = best[1]
    bare = texts.spelt(stated, mark)
    good = pc.fill_null(pc.match_substring_regex(bare, _NUMBER), False)
    bad = pc.and_(pc.invert(good), pc.is_valid(stated))
    strange = stated.filter(bad)
    kept = pc.if_else(good, bare, None)
    are_whole = pc.all(pc.match_substring_regex(kept.drop_null(), _INTEGER)).as_py()
    is_integer = bool(are_whole) and not len(strange)
    number = pa.int64() if is_integer else pa.float64()
    cells = pc.utf8_ltrim(kept, "+").cast(number)
    return Numbers(
        is_integer=is_integer,
        cells=cells,
        strange=tuple(strange.slice(0, 3).to_pylist()),
        strange_cells=len(strange),
        decimal=mark,
        percent=bool(pc.any(pc.match_substring(some, "%")).as_py()),
    )


def _strange_share(some: pa.Array, mark: str | None) -> float:
    good = pc.match_substring_regex(texts.spelt(some, mark), _NUMBER)
    return 1.0 - float(pc.sum(good.cast(pa.int64())).as_py()) / max(1, len(some))
