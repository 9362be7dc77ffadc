"""Encoders as a push leaves them, without a run: clean exports in numbered folders."""

import pathlib
from typing import Any

from push import clean_exports


def gestures(folder: pathlib.Path, input_facts: dict[str, Any] | None = None) -> pathlib.Path:
    """`folder/serving/1` and `2`, of other weights: E = 3 numbers of 6 features."""
    transform = clean_exports.transform_output("gestures", folder / "transform")
    for number in (1, 2):
        model = folder / "serving" / str(number)
        clean_exports.write("gestures", transform, model, seed=number, input_facts=input_facts)
    return folder / "serving" / "1"
