"""Keep padding out of the loss: one class a strategy of `train.padding`; measure what padding did.

interface.py            what a strategy decides
crop.py                 batches of similar length; the decoder's output is cropped
equal_length.py         batches of one length each; there is no padding
remask.py               the repeated embedding is masked again
remask_model.py         the model of `remask`
textbook.py             `keras`, the textbook model, kept to show what goes wrong
textbook_model.py       the model of `keras`
padding_diagnostics.py  the padding's share of the loss and of the gradient
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from ragline.components.train.padding.interface import PaddingStrategy

STRATEGIES: "Registry[type[PaddingStrategy]]" = Registry(
    "padding strategy",
    "ragline.padding",
    __name__,
    {
        "crop": "crop:Crop",
        "equal_length": "equal_length:EqualLength",
        "remask": "remask:Remask",
        "keras": "textbook:Textbook",
    },
)
# What `train.padding` takes.
NAMES = Choice(STRATEGIES)


def of(name: str) -> "PaddingStrategy":
    """Return a padding strategy by its name; its module is imported now.

    Raises:
      UsageError: the strategy of another distribution cannot be imported.
    """
    return STRATEGIES[name](name)
