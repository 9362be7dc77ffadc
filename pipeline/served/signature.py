"""Compare the signature that a work directory serves with the one a configuration would push.

A work directory belongs to one pipeline, and callers of an encoder rely on its inputs and outputs.
Only the facts beside the newest version are read: no model is loaded, nothing is written.
"""

import pathlib
from dataclasses import dataclass, field

from ragline.components.contract.columns import Columns
from ragline.components.contract.feature_transforms import NONE
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.files.storage import read_json
from ragline.components.push.release import ledger
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs import workdir


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """States the inputs and outputs of an encoder.

    Attributes:
      pipeline: name of the pipeline; None if the encoder does not state it.
      features: names of the features, in order.
      categories: name -> kind of the categories, in order.
      embedding_size: E; None if the encoder does not state it.
      transforms: name -> transform of the features that have one; a caller does not see it.
    """

    pipeline: str | None
    features: tuple[str, ...]
    categories: dict[str, str]
    embedding_size: int | None
    transforms: dict[str, str] = field(default_factory=dict)

    def differs(self, served: "Signature") -> bool:
        """Return whether a caller of the served encoder could not call this one."""
        are_stated = None not in (self.embedding_size, served.embedding_size)
        return (
            self.features != served.features
            or [*self.categories.items()] != [*served.categories.items()]
            or (are_stated and self.embedding_size != served.embedding_size)
        )

    def lacks(self, served: "Signature") -> list[str]:
        """Return the columns that the served encoder takes and this one's records lack."""
        missing = [name for name in served.features if name not in self.features]
        return missing + [
            name for name, kind in served.categories.items() if self.categories.get(name) != kind
        ]

    def __str__(self) -> str:
        parts = [f"features {', '.join(self.features)}"]
        if self.categories:
            parts.append(f"categories {', '.join(self.categories)}")
        if self.embedding_size is not None:
            parts.append(f"an embedding of {self.embedding_size} numbers")
        return ", ".join(parts)


def configured(config: Config, columns: Columns) -> Signature:
    """Return the signature of what a configuration and its schema's columns would push."""
    return Signature(
        pipeline=config.name,
        features=columns.names,
        categories={category.name: category.kind for category in columns.categories},
        embedding_size=config.train.embedding_size,
        transforms={
            feature.name: feature.transform
            for feature in columns.features
            if feature.transform != NONE
        },
    )


def read(model: pathlib.Path) -> Signature | None:
    """Return the signature that the facts beside a pushed model state; None if they state none."""
    try:
        facts = read_json(model / ENCODER_FILE)
        return Signature(
            pipeline=facts.get("pipeline"),
            features=tuple(str(feature["name"]) for feature in facts["features"]),
            categories={
                str(category["name"]): str(category["kind"])
                for category in facts.get("categories", ())
            },
            embedding_size=facts.get("embedding_size"),
            transforms={
                str(feature["name"]): str(feature["transform"])
                for feature in facts["features"]
                if feature.get("transform", NONE) != NONE
            },
        )
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None  # Damaged; the ledger deals with that.


def check_pipeline(wanted: Signature, folder: pathlib.Path) -> tuple[int, Signature] | None:
    """Turn another pipeline's work directory away.

    Args:
      wanted: the signature that a run would push.
      folder: the work directory.

    Returns:
      The newest version that states its signature, and that signature; None if there is none.

    Raises:
      ConfigError: it serves another pipeline's encoder.
    """
    served = _served(folder / workdir.SERVING)
    if served is not None and served[1].pipeline not in (None, wanted.pipeline):
        number, signature = served
        raise ConfigError(
            f"workdir: {folder} belongs to pipeline {signature.pipeline!r}, whose version "
            f"{number} it serves ({signature}); expected that one, received pipeline "
            f"{wanted.pipeline!r} ({wanted}); give it a work directory of its own (--workdir)"
        )
    return served


def check(wanted: Signature, folder: pathlib.Path, why: str) -> str:
    """Turn away what would change the signature that is served, unless a person says why.

    Args:
      wanted: the signature that a run would push.
      folder: its work directory.
      why: the reason that was given for a new signature; empty for none.

    Returns:
      The sentence on the change for the verdict; empty if nothing changes.

    Raises:
      ConfigError: the work directory is another pipeline's, or no reason was given.
    """
    served = check_pipeline(wanted, folder)
    if served is None or not wanted.differs(served[1]):
        return ""
    number, signature = served
    if not why:
        of_whom = "" if signature.pipeline is None else f" of pipeline {signature.pipeline!r}"
        raise ConfigError(
            f"workdir: {folder} serves version {number}{of_whom}: expected its "
            f"{signature}, received, of pipeline {wanted.pipeline!r}, {wanted}; another pipeline "
            "needs a work directory of its own (--workdir); if what this one takes or gives is to "
            'change, say why: ragline run --new-signature "why"'
        )
    return f'new signature: "{why}" ({wanted}; version {number} has {signature})'


def unlike(wanted: Signature, model: pathlib.Path) -> str | None:
    """Return why a pushed model cannot be compared with a new one; None if it can.

    It cannot answer the configuration's records, or its errors are of other transforms.
    """
    signature = read(model)
    if signature is None:
        return None
    if missing := wanted.lacks(signature):
        return f"it takes {', '.join(missing)}, which the records do not have any more"
    for name in wanted.features:
        ours, theirs = (each.transforms.get(name, NONE) for each in (wanted, signature))
        if ours != theirs:
            return f"its errors of {name} are of transform = {theirs!r}, those of this one {ours!r}"
    return None


def _served(serving: pathlib.Path) -> tuple[int, Signature] | None:
    """Return the newest version that states its signature, whoever put it there."""
    for number in reversed(ledger.numbers(serving)):
        if (signature := read(serving / str(number))) is not None:
            return number, signature
    return None
