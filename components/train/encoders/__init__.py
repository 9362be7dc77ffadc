"""Read sequences: one class an encoder of `train.encoder`.

interface.py    what an encoder is
recurrent.py    `lstm` and `gru`
tcn.py          dilated causal convolutions
transformer.py  attention among the valid steps
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from ragline.components.train.encoders.interface import Encoder

ENCODERS: "Registry[type[Encoder]]" = Registry(
    "encoder",
    "ragline.encoders",
    __name__,
    {
        "lstm": "recurrent:Lstm",
        "gru": "recurrent:Gru",
        "tcn": "tcn:Tcn",
        "transformer": "transformer:Transformer",
    },
)
# What `train.encoder` takes.
NAMES = Choice(ENCODERS)


def of(name: str) -> "Encoder":
    """Return an encoder by its name; its module is imported now.

    Raises:
      UsageError: the encoder of another distribution cannot be imported.
    """
    return ENCODERS[name](name)
