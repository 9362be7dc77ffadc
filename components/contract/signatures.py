"""Names in the exported SavedModel: its signatures, and the sums that `evaluate` returns.

A sum is float64, of one sequence; a metric is made of sums over many sequences, divided once.

Features, categories, context columns, heads and slices are called what the data call them, wherever
a person reads them. Where TensorFlow or Python wants a name of its own kind, for an input of a
signature, an output, a layer or a file, it is `legal(name)`, and nothing else makes one.
"""

import hashlib
import keyword
import re
from collections.abc import Iterable

# Beside the model: raw records with the embeddings that it gave when it was trained.
GOLDEN_FILE = "assets.extra/golden.json"
# And what a caller must know: features, categories, E, the training data, the metrics.
ENCODER_FILE = "assets.extra/encoder.json"

SERVING_DEFAULT = "serving_default"
ENCODE = "encode"
ENCODE_FLAT = "encode_flat"
SCORE = "score"
EVALUATE = "evaluate"

# Inputs.
EXAMPLES = "examples"
ROW_LENGTHS = "row_lengths"

# Outputs.
EMBEDDING = "embedding"
RECONSTRUCTION_ERROR = "reconstruction_error"

# Outputs of `evaluate`. What is counted, [B] ...
N_SEQUENCES = "sequences"
N_STEPS = "steps"
N_VALUES = "values"
N_FINITE = "finite_sequences"
COUNTS = (N_SEQUENCES, N_STEPS, N_VALUES, N_FINITE)

# ... each feature's number of values and their sum, [B, F]; the sum of their squares is the squared
# error of the training mean, which is 0 in standardised units ...
FEATURE_VALUES = "feature_values"
FEATURE_SUM = "feature_sum"

# ... for the model and for each trivial baseline, the sums of errors: squared ones of each feature,
# [B, F], absolute ones of all, [B] ...
MODEL = "model"
TRAINING_MEAN = "training_mean"
SEQUENCE_MEAN = "sequence_mean"
LAST_VALUE = "last_value"
BASELINES = (TRAINING_MEAN, SEQUENCE_MEAN, LAST_VALUE)
SQUARED = "squared_error"
ABSOLUTE = "absolute_error"

# ... of each head over its labelled sequences, [B]: how many, their loss, how many are right.
LABELLED = "labelled"
HEAD_LOSS = "loss"
HEAD_RIGHT = "right"

# ... and of each category over its observed words, [B]: how many, their cross-entropy, how many are
# right.
N_OBSERVED = "observed"
CROSS_ENTROPY = "cross_entropy"
N_RIGHT = "right"


# Of a legal name; a file's may have 255 bytes, and bears more than this.
_LONGEST = 100
# What a call of a signature cannot be given by its name, beside Python's own words.
_TAKEN = ("self",)


def legal(name: str) -> str:
    """A name as an input of a signature, an operation and Python can bear it.

    `concept:name` -> `concept_name`, `1st` -> `x_1st`, `class` -> `class_`; a character beyond
    ASCII is written as its number, `µV` -> `u00b5V`. What is legal stays as it is. Two names may
    come out as one, which `collisions` tells.
    """
    ascii_only = "".join(one if one.isascii() else f"u{ord(one):04x}" for one in name)
    found = re.sub(r"\W", "_", ascii_only, flags=re.ASCII)
    if not found[:1].isalpha():
        found = f"x_{found}"
    if len(found) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        found = f"{found[: _LONGEST - len(digest) - 1]}_{digest}"
    return f"{found}_" if keyword.iskeyword(found) or found in _TAKEN else found


def collisions(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name that comes after another one of the same legal form, with that other."""
    first: dict[str, str] = {}
    return [
        (name, other) for name in names if (other := first.setdefault(legal(name), name)) != name
    ]


def error_sum(predictor: str, error: str) -> str:
    """The key of a predictor's sum of errors, such as `model_squared_error`."""
    return f"{predictor}_{error}"


def is_of_each_feature(name: str) -> bool:
    """Whether a sum is [B, F], not [B]."""
    return name in (FEATURE_VALUES, FEATURE_SUM) or name.endswith(f"_{SQUARED}")


def head_sum(head: str, what: str) -> str:
    """The key of a head's sum, such as `head_gesture_loss`."""
    return f"head_{legal(head)}_{what}"


def category_sum(category: str, name: str) -> str:
    """The key of a category's sum, such as `category_activity_cross_entropy`."""
    return f"category_{legal(category)}_{name}"
