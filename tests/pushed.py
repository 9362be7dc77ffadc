"""Encoders as a push leaves them, without a run: clean exports with their facts beside them."""

import pathlib

from push import clean_exports

from ragline import schemas
from ragline.components.contract.columns import Columns
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.files.storage import write_json


def state(model: pathlib.Path, columns: Columns, embedding_size: int = 3) -> None:
    """Writes encoder.json, as far as callers read it."""
    features = [
        {"name": one.name, "unit": one.unit, "allow_missing": one.allow_missing}
        for one in columns.features
    ]
    categories = [
        {"name": one.name, "input": one.key, "kind": one.kind} for one in columns.categories
    ]
    facts = {"features": features, "categories": categories, "embedding_size": embedding_size}
    write_json(model / ENCODER_FILE, facts)


def gestures(folder: pathlib.Path) -> pathlib.Path:
    """`folder/serving/1` and `2`, of other weights: E = 3 numbers of 6 features."""
    transform = clean_exports.transform_output("gestures", folder / "transform")
    for number in (1, 2):
        model = folder / "serving" / str(number)
        clean_exports.write("gestures", transform, model, seed=number)
        state(model, Columns.from_schema(schemas.load("gestures")))
    return folder / "serving" / "1"
