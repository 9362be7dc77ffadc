"""Write sequences from their embeddings: one class a decoder of `train.decoder`.

interface.py  what a decoder is
recurrent.py  `repeat` and `teacher`
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from ragline.components.train.decoders.interface import Decoder

DECODERS: "Registry[type[Decoder]]" = Registry(
    "decoder",
    "ragline.decoders",
    __name__,
    {"repeat": "recurrent:Repeat", "teacher": "recurrent:Teacher"},
)
# What `train.decoder` takes.
NAMES = Choice(DECODERS)


def of(name: str) -> "Decoder":
    """Return a decoder by its name; its module is imported now.

    Raises:
      UsageError: the decoder of another distribution cannot be imported.
    """
    return DECODERS[name](name)
