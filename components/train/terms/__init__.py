"""Define the objective: a list of terms, each a masked mean that is divided once.

interface.py   what a term is, and what one of a head is
heads.py       `classification` and `regression`, the types of `[[heads]]`
statistics.py  the statistics of a sequence, told from its embedding
steps.py       the reconstruction, and a category of the steps; the list of a model
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from ragline.components.train.options import HeadOptions
    from ragline.components.train.terms.interface import HeadTerm

TERMS: "Registry[type[HeadTerm]]" = Registry(
    "term",
    "ragline.terms",
    __name__,
    {"classification": "heads:Classification", "regression": "heads:Regression"},
)
# What `type` of `[[heads]]` takes.
NAMES = Choice(TERMS)


def of(head: "HeadOptions") -> "HeadTerm":
    """Return the term of a head; the module of its type is imported now.

    Raises:
      UsageError: the term of another distribution cannot be imported.
    """
    return TERMS[head.type](head)
