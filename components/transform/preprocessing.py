"""Define `preprocessing_fn`, which TFX imports by its dotted name and reloads."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ragline.components.contract.columns import (
    ENTITY_ID,
    LENGTH,
    OBSERVED,
    SEQUENCE_ID,
    VALUES,
    Category,
)
from ragline.components.contract.feature_transforms import NONE
from ragline.components.transform import standardise, vocabulary


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Transform raw columns into the columns of training records.

    Args:
      inputs: feature name -> ragged float32 [B, None]; category -> ragged bytes or int64 [B, None];
        bookkeeping and context columns as in the schema.
      custom_config: `features`, the F feature names in order; `transforms`, the transform of each,
        without which none has one; `categories`, the C categories, each
        a Category as a dictionary; `max_tokens`, largest size of a vocabulary; `context`, names of
        columns that are not changed; `allow_missing`, whether records carry `observed`. (`source`
        is there for the cache alone.)

    Returns:
      `values`, ragged float32 [B, None], T * F row-major; `observed`, ragged int64 of the same
      shape, where values can be missing; the token ids of each category, ragged int64 [B, None],
      under its name; `length`, int64 [B]; `sequence_id` and `entity_id`, bytes [B]; the context.
    """
    columns = [inputs[name] for name in custom_config["features"]]
    transforms = custom_config.get("transforms", [NONE] * len(columns))
    z, observed = standardise.standardise(standardise.stack_features(columns, transforms))
    outputs = {
        VALUES: standardise.to_ragged_rows(z, columns[0]),
        LENGTH: inputs[LENGTH],
        SEQUENCE_ID: inputs[SEQUENCE_ID],
        ENTITY_ID: inputs[ENTITY_ID],
        **{name: inputs[name] for name in custom_config["context"]},
    }
    if custom_config["allow_missing"]:
        outputs[OBSERVED] = standardise.to_ragged_rows(tf.cast(observed, tf.int64), columns[0])
    for fields in custom_config["categories"]:
        category = Category(**fields)
        tokens, max_tokens = inputs[category.name], custom_config["max_tokens"]
        outputs[category.name] = vocabulary.token_ids(tokens, category, max_tokens)
    return outputs
