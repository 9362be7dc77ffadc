"""Name the signatures of the exported SavedModel, and the sums that `evaluate` returns.

A sum is float64, of one sequence; a metric is made of sums over many sequences, divided once.

A person always reads features, categories, context columns, heads and slices under the names that
the data give them. Where TensorFlow or Python restricts names, for an input of a signature, an
output, a layer or a file, the name is `legal(name)`, and nothing else makes one.
"""

import hashlib
import keyword
import re
from collections.abc import Iterable

# Beside the model: raw records with the embeddings that it gave when it was exported.
GOLDEN_FILE = "assets.extra/golden.json"
# The weights once more, in a file that needs no TensorFlow.
WEIGHTS_FILE = "assets.extra/weights.npz"
# The facts that a caller needs: features, categories, E, the training data, the metrics.
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

# Outputs of `evaluate`: counts, [B] ...
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

# ... of each head over its labelled sequences, [B]: their number, their loss, how many are right.
LABELLED = "labelled"
HEAD_LOSS = "loss"
HEAD_RIGHT = "right"

# ... and of each category over its observed tokens, [B]: their number, cross-entropy, and how many
# are right.
N_OBSERVED = "observed"
CROSS_ENTROPY = "cross_entropy"
N_RIGHT = "right"

# ... and of each term of `[[terms]]`, [B]: its sum of errors, and what that is divided by. No key
# ends as that of squared errors of each feature does, whatever a term is called.
TERM_TOTAL = "total"
TERM_COUNT = "count"


# Length of a legal name; that of a file may have 255 bytes, and contains more than the name.
_LONGEST = 100
# Names that no argument of a signature can have, beside Python's own words.
_TAKEN = ("self",)


def legal(name: str) -> str:
    """Return a name that is legal for an input of a signature, an operation and Python.

    `concept:name` -> `concept_name`, `1st` -> `x_1st`, `class` -> `class_`; a character beyond
    ASCII becomes its number, `µV` -> `u00b5V`. A legal name stays as it is. Two names may become
    the same one; `collisions` finds those.
    """
    ascii_only = "".join(char if char.isascii() else f"u{ord(char):04x}" for char in name)
    result = re.sub(r"\W", "_", ascii_only, flags=re.ASCII)
    if not result[:1].isalpha():
        result = f"x_{result}"
    if len(result) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        result = f"{result[: _LONGEST - len(digest) - 1]}_{digest}"
    return f"{result}_" if keyword.iskeyword(result) or result in _TAKEN else result


def collisions(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return each name whose legal form an earlier name has, with that earlier name."""
    first: dict[str, str] = {}
    return [
        (name, earlier)
        for name in names
        if (earlier := first.setdefault(legal(name), name)) != name
    ]


def error_sum(predictor: str, error: str) -> str:
    """Return the key of a predictor's sum of errors, such as `model_squared_error`."""
    return f"{predictor}_{error}"


def is_of_each_feature(name: str) -> bool:
    """Return whether a sum is [B, F], not [B]."""
    return name in (FEATURE_VALUES, FEATURE_SUM) or name.endswith(f"_{SQUARED}")


def head_sum(head: str, what: str) -> str:
    """Return the key of a head's sum, such as `head_gesture_loss`."""
    return f"head_{legal(head)}_{what}"


def category_sum(category: str, name: str) -> str:
    """Return the key of a category's sum, such as `category_activity_cross_entropy`."""
    return f"category_{legal(category)}_{name}"


def term_sum(term: str, name: str) -> str:
    """Return the key of a sum of a term of `[[terms]]`, such as `term_changes_total`."""
    return f"term_{legal(term)}_{name}"
