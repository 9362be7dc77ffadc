"""Describe what an encoder computes, as plain arrays, for every runtime that it is written for.

t          = the transform of the value's feature, in float64
z          = (t(value) - mean) / scale in float64, at most FARTHEST from 0, then float32; 0 where
             t(value) is not finite, where the feature never varied, and in the padding
x          = z and, for each category, the row of its table; zeros where the token is missing
h          = what the encoder reads of x, by the operations that the model states
embedding  = h @ kernel + bias, plus [grid(z), statistics] @ kernel + bias where there is a linear
             path, which reads statistics of z and of the tokens
"""

from collections.abc import Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass

import numpy as np

from ragline.components.contract.columns import Category
from ragline.components.contract.feature_transforms import Transform
from ragline.components.serving.facts import StatisticsFacts
from ragline.components.serving.portable import Operation

# As in train/export/export_model.py: float32 ends at 3.4e38; sums of such values would be infinite.
FARTHEST = 1e30
# As in train/model/sequence_statistics.py: no standardised statistic is farther from 0, and what is
# added to a deviation.
FARTHEST_STATISTIC, LEAST_DEVIATION = 5.0, 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Holds an affine map.

    Attributes:
      kernel: float32 [inputs, outputs].
      bias: float32 [outputs].
    """

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTable:
    """Holds the embedding table of one category.

    Attributes:
      category: the category; the model's input has its `key` as a name.
      tokens: the vocabulary, in the order of the token ids; any other token has the id after them.
      table: float32 [tokens + 1, size].
    """

    category: Category
    tokens: tuple[str, ...]
    table: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Holds the statistics that the linear path reads, as they are standardised.

    Attributes:
      stated: what they are.
      mean: float32 [P].
      scale: float32 [P]; 0 of a statistic that is always 0 once standardised.
    """

    stated: StatisticsFacts
    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearPath:
    """Holds the linear path.

    Attributes:
      steps: K, the steps of the grid that a sequence is resampled to.
      fills: whether missing values are interpolated first, as they are if a feature may miss some.
      statistics: what it reads beside the grid; None of a path that reads the grid alone.
      to_embedding: the map of the K * F grid values, and the P statistics, to the embedding.
    """

    steps: int
    fills: bool
    statistics: Statistics | None = None
    to_embedding: Dense


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Holds the weights and operations of an encoder.

    Attributes:
      features: the names of the F features, in order.
      transforms: the transform of each.
      mean: float64 [F].
      scale: float64 [F].
      varies: bool [F]; False for a feature that is always 0 once standardised.
      tables: the tables of the categories, in the order in which they follow the features.
      operations: what the encoder computes; see serving/portable.py.
      weights: name -> the weights that they read.
      to_embedding: the map of the result.
      linear: the linear path; None if the model has none.
    """

    features: Collection[str]
    transforms: Collection[Transform]
    mean: np.ndarray
    scale: np.ndarray
    varies: np.ndarray
    tables: tuple[CategoryTable, ...]
    operations: tuple[Operation, ...]
    weights: Mapping[str, np.ndarray]
    to_embedding: Dense
    linear: LinearPath | None
