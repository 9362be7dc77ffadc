"""Define the error of a value in the loss, of the difference of output and target.

interface.py    what an error is
elementwise.py  `squared`, `absolute`, `huber` and `log_cosh`
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from ragline.components.train.errors.interface import ErrorOfValue

ERRORS: "Registry[type[ErrorOfValue]]" = Registry(
    "error",
    "ragline.errors",
    __name__,
    {
        "squared": "elementwise:Squared",
        "absolute": "elementwise:Absolute",
        "huber": "elementwise:Huber",
        "log_cosh": "elementwise:LogCosh",
    },
)
# What `train.error` takes.
NAMES = Choice(ERRORS)
# The error of every metric, whatever the loss is made of.
SQUARED = "squared"


def of(name: str) -> "ErrorOfValue":
    """Return the error of a name; its module is imported now.

    Raises:
      UsageError: the error of another distribution cannot be imported.
    """
    return ERRORS[name]()
