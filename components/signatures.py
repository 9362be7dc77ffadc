"""Names in the exported SavedModel: its signatures, and the sums that `evaluate` returns.

A sum is one float64 a sequence; a metric is a ratio of two sums over many sequences, divided once.
"""

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

# Outputs of `evaluate`: what is counted ...
N_SEQUENCES = "sequences"
N_STEPS = "steps"
N_VALUES = "values"
N_FINITE = "finite_sequences"
COUNTS = (N_SEQUENCES, N_STEPS, N_VALUES, N_FINITE)

# ... and, for the model and for each trivial baseline, the two sums of errors.
MODEL = "model"
TRAINING_MEAN = "training_mean"
SEQUENCE_MEAN = "sequence_mean"
BASELINES = (TRAINING_MEAN, SEQUENCE_MEAN)
SQUARED = "squared_error"
ABSOLUTE = "absolute_error"

# ... and, of each category, where it is observed.
CROSS_ENTROPY = "cross_entropy"
N_RIGHT = "right"
N_OBSERVED = "observed"


def error_sum(predictor: str, error: str) -> str:
    """The key of a predictor's sum of errors, such as `model_squared_error`."""
    return f"{predictor}_{error}"


def category_sum(category: str, name: str) -> str:
    """The key of a category's sum, such as `category_activity_cross_entropy`."""
    return f"category_{category}_{name}"
