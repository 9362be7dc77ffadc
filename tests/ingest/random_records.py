"""Random sequences, which a test writes in a format and expects back as the same columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.ingest.records.chunk import Chunk, File, Part, QuarantineLine

COLUMNS = Columns(
    features=tuple(Feature(name=n, unit=None, allow_missing=n == "b") for n in "ab"),
    context={"label": "bytes", "age": "int", "weight": "float"},
    categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
    has_time=True,
)
NUMBERS_ONLY = Columns(features=COLUMNS.features, context={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sequence; `time` is in nanoseconds."""

    sequence_id: str
    entity_id: str
    values: np.ndarray
    words: list[str]
    codes: np.ndarray
    time: np.ndarray
    label: str
    age: int
    weight: float

    @property
    def length(self) -> int:
        return len(self.values)


def samples(count: int, seed: int = 0) -> list[Sample]:
    """Sequences of 1 to 9 steps; `b` may be missing, and so may a word."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        length = int(random.integers(1, 10))
        values = random.normal(size=(length, 2)).astype(np.float32).astype(np.float64)
        values[random.random(length) < 0.2, 1] = np.nan
        made.append(
            Sample(
                sequence_id=f"s-{number}-ä",
                entity_id=f"e{number // 2}",
                values=values,
                words=random.choice(["", "go", "stop", "größer"], length).tolist(),
                codes=random.integers(-5, 5, length),
                time=1_700_000_000_000_000_123 + np.cumsum(random.integers(1, 10**12, length)),
                label=str(random.choice(["x", "y z", "ü"])),
                age=int(random.integers(0, 2**62)),
                weight=float(np.float32(random.normal())),
            )
        )
    return made


def check_columns(chunk: Chunk, expected: list[Sample]) -> None:
    """Compares all that a format of steps, ids and context holds."""
    assert list(chunk.number) == list(range(1, len(expected) + 1))
    assert list(chunk.sequence_id) == [s.sequence_id for s in expected]
    assert list(chunk.entity_id) == [s.entity_id for s in expected]
    check_numbers(chunk, expected)
    assert list(chunk.values["word"]) == [word for s in expected for word in s.words]
    assert chunk.values["code"].dtype == np.int64
    np.testing.assert_array_equal(chunk.values["code"], np.concatenate([s.codes for s in expected]))
    assert chunk.time is not None and chunk.time.dtype == np.int64
    np.testing.assert_array_equal(chunk.time, np.concatenate([s.time for s in expected]))
    assert list(chunk.context["label"]) == [s.label for s in expected]
    assert list(chunk.context["age"]) == [s.age for s in expected]
    assert list(chunk.context["weight"]) == [s.weight for s in expected]


def check_numbers(chunk: Chunk, expected: list[Sample]) -> None:
    """Compares lengths and features."""
    assert list(chunk.length) == [s.length for s in expected]
    for place, name in enumerate("ab"):
        assert chunk.values[name].dtype == np.float64
        flat = np.concatenate([s.values[:, place] for s in expected])
        np.testing.assert_array_equal(chunk.values[name], flat)


def file_at(path: Path, format_name: str) -> File:
    return File(path=str(path), name=path.name, index=0, format=format_name, split=None)


def joined(parts: Iterable[Part], columns: Columns = COLUMNS) -> tuple[Chunk, list[QuarantineLine]]:
    """Parts as one Chunk and all that was rejected."""
    all_parts = list(parts)
    chunks = [part.chunk for part in all_parts if len(part.chunk)]
    names = [*columns.names, *(category.name for category in columns.categories)]
    timed = all(chunk.time is not None for chunk in chunks)

    def flat(columns_of: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *columns_of])

    whole = Chunk(
        number=flat(chunk.number for chunk in chunks),
        sequence_id=[s for chunk in chunks for s in chunk.sequence_id],
        entity_id=[e for chunk in chunks for e in chunk.entity_id],
        length=flat(chunk.length for chunk in chunks),
        values={n: np.concatenate([chunk.values[n] for chunk in chunks]) for n in names}
        if chunks
        else {},
        time=flat(chunk.time for chunk in chunks) if chunks and timed else None,
        context={n: [v for chunk in chunks for v in chunk.context[n]] for n in columns.context},
    )
    return whole, [rejected for part in all_parts for rejected in part.rejected]
