"""`preprocessing_fn`, called by TFX's Transform by its dotted name. TFX reloads this module."""

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
from ragline.components.transform import standardise, vocabulary


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Raw columns -> what the trainer wants.

    Args:
      inputs: feature name -> ragged float32 [B, None]; category -> ragged bytes or int64 likewise;
        bookkeeping and context as the schema says.
      custom_config: `features`, the F feature names in order; `categories`, the C categories, each
        a Category as a dictionary; `max_words`, of a vocabulary; `context`, the names that pass
        through as they are; `allow_missing`, whether records carry `observed`. (`source` is there
        for the cache alone.)

    Returns:
      `values`, ragged float32 [B, None], T * F row-major; `observed`, ragged int64 likewise, where
      values can be missing; the codes of each category, ragged int64 [B, None], under its name;
      `length`, int64 [B]; `sequence_id` and `entity_id`, bytes [B]; the context.
    """
    columns = [inputs[name] for name in custom_config["features"]]
    z, observed = standardise.standardise(standardise.stack_features(columns))
    outputs = {
        VALUES: standardise.rows_of(z, columns[0]),
        LENGTH: inputs[LENGTH],
        SEQUENCE_ID: inputs[SEQUENCE_ID],
        ENTITY_ID: inputs[ENTITY_ID],
        **{name: inputs[name] for name in custom_config["context"]},
    }
    if custom_config["allow_missing"]:
        outputs[OBSERVED] = standardise.rows_of(tf.cast(observed, tf.int64), columns[0])
    for stated in custom_config["categories"]:
        category = Category(**stated)
        words, most = inputs[category.name], custom_config["max_words"]
        outputs[category.name] = vocabulary.codes(words, category, most)
    return outputs
