"""Names in the exported SavedModel: its signatures, and the sums that `evaluate` returns.

A sum is float64, of one sequence; a metric is made of sums over many sequences, divided once.
"""

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


def error_sum(predictor: str, error: str) -> str:
    """The key of a predictor's sum of errors, such as `model_squared_error`."""
    return f"{predictor}_{error}"


def is_of_each_feature(name: str) -> bool:
    """Whether a sum is [B, F], not [B]."""
    return name in (FEATURE_VALUES, FEATURE_SUM) or name.endswith(f"_{SQUARED}")


def head_sum(head: str, what: str) -> str:
    """The key of a head's sum, such as `head_gesture_loss`."""
    return f"head_{head}_{what}"


def category_sum(category: str, name: str) -> str:
    """The key of a category's sum, such as `category_activity_cross_entropy`."""
    return f"category_{category}_{name}"
