"""Compute golden inputs again, and compare with the embeddings of the model in training.

They are written beside the model by the trainer, so they tell a file that was exported, copied or
read wrongly, of which the contract knows nothing: a model of other weights keeps it just as well.
"""

import base64
import pathlib

import numpy as np

from ragline.components.contract.signatures import EMBEDDING, EXAMPLES, GOLDEN_FILE, SERVING_DEFAULT
from ragline.components.files.storage import read_json
from ragline.components.push.contract import padding_contract


def is_beside(model: pathlib.Path) -> bool:
    """Return whether a SavedModel has golden inputs."""
    return (model / GOLDEN_FILE).is_file()


def violations(
    model: pathlib.Path, serving_default: padding_contract.Signature | None
) -> list[padding_contract.Violation]:
    """Compare the answers of `serving_default` on the golden inputs with those written there.

    The same is a difference <= 1e-6, absolute or of the largest number of an embedding, as
    everywhere in the contract.

    Args:
      model: a SavedModel.
      serving_default: the signature of that name; None if it has none.
    """
    where = f"{SERVING_DEFAULT}.{EMBEDDING}, golden inputs"

    def violation(figure: float, expected: str) -> list[padding_contract.Violation]:
        return [padding_contract.Violation("golden", where, figure, expected)]

    if serving_default is None:
        return violation(float("nan"), "an answer, received none: there is no such signature")
    try:
        records = read_json(model / GOLDEN_FILE)["records"]
        examples = [base64.b64decode(record[EXAMPLES], validate=True) for record in records]
        expected = np.array([record[EMBEDDING] for record in records], np.float32)
    except (OSError, KeyError, TypeError, ValueError) as error:
        return violation(float("nan"), f"{GOLDEN_FILE} with records, received {error!r}")
    try:
        answer = serving_default(**{EXAMPLES: np.array(examples, object)})[EMBEDDING]
    except padding_contract.UnansweredError as error:
        return violation(float("nan"), f"an answer, received {error}")
    figure = padding_contract.difference(expected, answer) if len(examples) else float("nan")
    return [] if figure <= padding_contract.TOLERANCE else violation(figure, padding_contract.SAME)
