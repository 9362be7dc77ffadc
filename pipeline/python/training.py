"""Write sequences of Python's as the files of a run: Parquet and a configuration.

FOLDER/fit.parquet   a row a step, under the columns' own names
FOLDER/fit.toml      what `ragline init` would write of them
FOLDER/fit-run/      the work directory
"""

import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragline.components.contract import kinds
from ragline.components.contract.columns import BOOKKEEPING, CategoryKind
from ragline.components.contract.errors import InputError, UsageError
from ragline.components.contract.feature_transforms import NONE, SIGNED_LOG, TRANSFORMS, Transform
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.files.storage import write_bytes, write_text
from ragline.components.ingest.options import InputOptions
from ragline.components.serving.tables import Steps, check_names, is_number, is_text
from ragline.pipeline.onboard import draft, plan
from ragline.pipeline.onboard.guess import Context, Guess
from ragline.pipeline.onboard.guessing import scales

NAME = "fit"
RUN = f"{NAME}-run"
DATA_FILE, CONFIG_FILE = f"{NAME}.parquet", f"{NAME}.toml"
LOCK = ".lock"
ID = "id"
_MOST_CLASSES = 100
# Of the table [input], only what leaves a sequence of Python's a sequence of the run's.
_OF_INPUT = ("input.eval_share", "input.time_unit", "input.steps.max_length")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_MOST_SECONDS = 2**63 * 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Names the columns of the sequences, by what they are to the training.

    Attributes:
      id: column that names a row's sequence.
      time: column of the times.
      entity: column of the entity.
      label: column of the label.
      features: columns of numbers that are learnt.
      categories: column -> kind, of words or ids that are learnt.
    """

    id: str
    time: str | None
    entity: str | None
    label: str | None
    features: tuple[str, ...]
    categories: Mapping[str, CategoryKind]

    @property
    def learnt(self) -> tuple[str, ...]:
        """Return the columns that an encoder of them reads."""
        return (*self.features, *self.categories)


def roles(
    steps: Steps,
    *,
    id: str | None,
    time: str | None,
    entity: str | None,
    label: str | None,
    features: Sequence[str] | None,
    categories: Sequence[str] | None,
) -> Roles:
    """Say what each column is; the arguments are those of `SequenceEncoder`.

    Raises:
      InputError: a column is not there, or is nothing that can be learnt.
    """
    for role, name in (("entity", entity), ("label", label)):
        if name is not None and name not in steps.columns:
            known = ", ".join(map(repr, steps.columns))
            raise InputError(f"{role}: expected a column {name!r}, received {known}")
    named = [*(features or ()), *(categories or ())]
    if features is None and categories is None:
        named = [name for name in steps.columns if name not in (entity, label)]
    else:
        check_names(named, [name for name in steps.columns if name in named])
    kinds: dict[str, CategoryKind | None] = {
        name: _kind(name, steps.columns[name].type, categories or ()) for name in named
    }
    taken = tuple(name for name, kind in kinds.items() if kind is None)
    if not taken:
        raise InputError("X: expected a column of numbers, received none: there is no feature")
    for name in (*kinds, *([label] if label else [])):
        if name in BOOKKEEPING:
            raise InputError(
                f"column {name!r}: ragline's own records have one of that name; rename"
            )
    return Roles(
        id=id or ID,
        time=time,
        entity=entity,
        label=label,
        features=taken,
        categories={name: kind for name, kind in kinds.items() if kind is not None},
    )


def _kind(name: str, kind: pa.DataType, categories: Sequence[str]) -> CategoryKind | None:
    """Return the kind of a category; None of a feature."""
    if name in categories and pa.types.is_integer(kind):
        return kinds.INTEGER
    if is_text(kind):
        return kinds.TEXT
    if name not in categories and (
        is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    ):
        return None
    raise InputError(
        f"column {name!r}: expected numbers, or text or integers of a category, received {kind}; "
        "name it as time, entity or label, or name the features"
    )


def write(
    folder: pathlib.Path, steps: Steps, roles: Roles, transforms: Mapping[str, Transform]
) -> pathlib.Path:
    """Write the data and the configuration, and return the latter.

    Args:
      folder: folder of both.
      steps: the sequences.
      roles: what their columns are.
      transforms: feature -> its transform; any other has that which `ragline init` would choose.

    Raises:
      InputError: a column holds something else than its role says.
    """
    columns: dict[str, Any] = {roles.id: np.repeat(_texts(steps.ids), steps.length)}
    if roles.time is not None:
        columns[roles.time] = steps.time
    columns |= {name: steps.number_column(name) for name in roles.features}
    for name, kind in roles.categories.items():
        arrow = pa.string() if kinds.is_text(kind) else pa.int64()
        columns[name] = pa.array(steps.word_column(name, kind), arrow)
    for name in filter(None, (roles.entity, roles.label)):
        columns[name] = _one_each(steps, name)
    missing = {name: bool(np.isnan(columns[name]).any()) for name in roles.features}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    write_bytes(folder / DATA_FILE, buffer.getvalue())
    chosen = {
        name: SIGNED_LOG
        for name in roles.features
        if name not in transforms and scales.is_for_signed_log(np.asarray(columns[name]))
    }
    guess = Guess(
        transforms={n: t for n, t in (chosen | dict(transforms)).items() if t != NONE},
        sequences=len(steps.ids),
        group_by=(roles.id,),
        order_by=roles.time,
        entity=roles.entity,
        features=missing,
        categories=dict(roles.categories),
        context=[_context(roles.label, columns[roles.label])] if roles.label else [],
        options=_split(len(steps.ids)),
    )
    if steps.time is not None:
        guess.time_unit = _unit(steps.time)
    text = draft.config_text(guess, name=NAME, workdir=RUN, pattern=DATA_FILE)
    write_text(folder / CONFIG_FILE, text)
    return folder / CONFIG_FILE


def check_transforms(transforms: Mapping[str, Any], features: Sequence[str]) -> None:
    """Raise an InputError if one is no transform, or is one of another column than a feature."""
    for name, transform in transforms.items():
        if name not in features:
            known = ", ".join(map(repr, features))
            raise InputError(f"transforms: expected features, {known}, received {name!r}")
        if transform not in TRANSFORMS:
            raise InputError(
                f"transforms: {name!r}: expected {', '.join(TRANSFORMS)}, received {transform!r}"
            )


def _texts(ids: Sequence[Any]) -> np.ndarray:
    texts = [str(id) for id in ids]
    if len({*texts}) < len(texts):
        raise InputError("X: expected ids that differ as text, received some that do not")
    return np.array(texts, object)


def _one_each(steps: Steps, name: str) -> pa.ChunkedArray:
    """Return a column whose value is one for all steps of a sequence.

    Raises:
      InputError: it is not.
    """
    column = steps.columns[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    codes = coded.indices.to_numpy(zero_copy_only=False)
    first = np.repeat(codes[np.cumsum(steps.length) - steps.length], steps.length)
    if len(other := np.flatnonzero(codes != first)):
        raise InputError(
            f"column {name!r}: expected one value in sequence {steps.id_of(other[0])!r}, received "
            f"{column[int(other[0])].as_py()!r}, too"
        )
    return column


def _context(name: str, column: pa.ChunkedArray) -> Context:
    kind: kinds.Kind = kinds.NUMBER
    if is_text(column.type):
        kind = kinds.TEXT
    elif pa.types.is_integer(column.type):
        kind = kinds.INTEGER
    elif not is_number(column.type):
        raise InputError(f"label: expected text or numbers, received {column.type}")
    words = column.unique().drop_null() if not kinds.is_number(kind) else pa.array([])
    few = 1 < len(words) <= _MOST_CLASSES
    classes = tuple(sorted(map(str, words.to_pylist()))) if few else ()
    return Context(name=name, kind=kind, classes=classes)


def _split(sequences: int) -> dict[str, Any]:
    """Return a larger share for eval, where the usual one has too few sequences for a verdict."""
    least = Rules().min_eval
    if sequences * InputOptions(train="x").eval_share >= 1.3 * least:
        return {}
    share = plan.share_for(sequences, least)
    return {"eval_share": share} if share else {}


def _unit(time: pa.ChunkedArray) -> Any:
    """Return the unit in which times that are numbers fit into 292 years, the largest there is."""
    if not is_number(time.type):
        return "s"
    most = float(np.abs(time.cast(pa.float64(), safe=False).to_numpy()).max())
    return next((unit for unit, size in _SECONDS.items() if most * size < _MOST_SECONDS), "ns")


def overrides(options: Mapping[str, Any]) -> list[str]:
    """Return options as `ragline run --set` takes them.

    Raises:
      UsageError: an option would make other sequences of those that were given.
    """
    for key in options:
        table = key.partition(".")[0]
        if table in ("name", "schema", "workdir", "beam") or (
            table == "input" and key not in _OF_INPUT
        ):
            raise UsageError(
                "options: expected keys of docs/config.md, of [input] only "
                f"{', '.join(_OF_INPUT)}, received {key!r}"
            )
    # The words of a category are what they are, and no record may be lost in silence.
    fixed = ["input.missing_text=[]", "quarantine.max_share=0.0"]
    return [*fixed, *(f"{key}={json.dumps(value)}" for key, value in options.items())]


def check_folder(folder: pathlib.Path) -> None:
    """Refuse a folder that holds what no fit has written; nothing is touched.

    Raises:
      UsageError: it names a file.
    """
    ours = (DATA_FILE, CONFIG_FILE, RUN, LOCK)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"workdir: {folder}: expected a folder, received a file")
    others = sorted(path.name for path in folder.glob("*") if path.name not in ours)
    if others:
        raise UsageError(
            f"workdir: {folder}: expected a new or empty folder, or that of an earlier fit, "
            f"received one with {others[0]!r}"
        )
