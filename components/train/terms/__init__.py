"""Define the objective: a list of terms, each a masked mean that is divided once.

interface.py   what a term is, one of a head, and one of `[[terms]]`
heads.py       `classification` and `regression`, the types of `[[heads]]`
slices.py      slices of one sequence have like embeddings
statistics.py  the statistics of a sequence, predicted from its embedding
steps.py       the reconstruction, and a category of the steps; the list of a model
"""

from typing import TYPE_CHECKING, cast

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragline.components.train.options import HeadOptions, TermOptions
    from ragline.components.train.terms.interface import HeadTerm, SequenceTerm, Term

TERMS: "Registry[type[Term]]" = Registry(
    "term",
    "ragline.terms",
    __name__,
    {
        "classification": "heads:Classification",
        "regression": "heads:Regression",
        "slices": "slices:Slices",
    },
)


def _is_of_heads(name: str) -> bool:
    from ragline.components.train.terms.interface import HeadTerm

    return issubclass(TERMS[name], HeadTerm)


# What `type` of `[[heads]]` takes, and what that of `[[terms]]` does.
NAMES = Choice(TERMS, accepts=_is_of_heads)
OF_SEQUENCES = Choice(TERMS, accepts=lambda name: not _is_of_heads(name))


def head_type(name: str) -> "type[HeadTerm]":
    """Return one of `NAMES`; its module is imported now.

    Raises:
      UsageError: the term of another distribution cannot be imported.
    """
    return cast("type[HeadTerm]", TERMS[name])


def sequence_type(name: str) -> "type[SequenceTerm]":
    """Return one of `OF_SEQUENCES`; raises as `head_type`."""
    return cast("type[SequenceTerm]", TERMS[name])


def of(head: "HeadOptions") -> "HeadTerm":
    """Return the term of a head; raises as `head_type`."""
    return head_type(head.type)(head)


def comparing(further: "Iterable[TermOptions]") -> "list[TermOptions]":
    """Return those of `[[terms]]` that compare the sequences of a batch; raises as `head_type`."""
    return [term for term in further if sequence_type(term.type).compares_sequences]


def measured(further: "Iterable[TermOptions]") -> list[str]:
    """Return the names of the `[[terms]]` that compare no sequences: an evaluation measures these.

    Raises:
      UsageError: as `head_type`.
    """
    return [term.name for term in further if not sequence_type(term.type).compares_sequences]


def of_sequences(term: "TermOptions") -> "SequenceTerm":
    """Return the term of one of `[[terms]]`; raises as `head_type`."""
    return sequence_type(term.type)(term)
