"""State the facts of a model when it is exported; `components/serving/facts.py` says which."""

import math
from collections.abc import Mapping
from collections.abc import Sequence as Collection
from typing import Any

import numpy as np
import tensorflow_transform as tft

from ragline.components.contract import feature_statistics
from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.sampling import SplitSample
from ragline.components.files.storage import sha256
from ragline.components.serving.facts import (
    CategoryFacts,
    FeatureFacts,
    HeadFacts,
    InputFacts,
    ModelFacts,
    NetworkFacts,
    StatisticsFacts,
    digest_of_weights,
)
from ragline.components.serving.portable import Operation, Recorder
from ragline.components.train import padding
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.model.sequence_statistics import BEND_LAGS, CORRELATION_LAGS
from ragline.components.train.options import HeadOptions, TrainOptions


def state(
    model: MaskedAutoencoder,
    *,
    options: TrainOptions,
    transform_output: tft.TFTransformOutput,
    columns: Columns,
    heads: Collection[HeadOptions],
    input_facts: Mapping[str, Any],
    samples: Mapping[str, SplitSample] | None = None,
) -> ModelFacts:
    """Return the facts of a model.

    Args:
      model: the model that is exported, with its weights.
      options: the options of the training.
      transform_output: Transform's graph.
      columns: the schema's features and categories.
      heads: the heads of the model, in its order.
      input_facts: the way in which raw files were read: `options` and `fields`.
      samples: split -> the part of it that was read, without a split that was read whole; None
        if all were.
    """
    strategy = padding.of(options.padding)
    statistics = feature_statistics.read(transform_output.transform_savedmodel_dir)
    return ModelFacts(
        features=tuple(
            _feature(feature, float(mean), float(std))
            for feature, mean, std in zip(columns.features, *statistics, strict=True)
        ),
        categories=tuple(_category(category, transform_output) for category in columns.categories),
        heads=tuple(
            HeadFacts(name=head.name, column=head.column, type=head.type, classes=head.classes)
            for head in heads
        ),
        embedding_size=options.embedding_size,
        network=NetworkFacts(
            padding=options.padding,
            encoder=options.encoder,
            units=options.units,
            layers=options.layers,
            bidirectional=options.bidirectional,
            decoder=options.decoder,
            linear_steps=model.linear.steps if model.linear else 0,
            statistics=_statistics(model),
            mask=strategy.mask,
            operations=_operations(model) if strategy.mask == "length" else (),
        ),
        input=InputFacts(options=dict(input_facts["options"]), fields=tuple(input_facts["fields"])),
        weights_sha256=digest_of_weights(
            {variable.path: np.asarray(variable.value) for variable in model.variables}
        ),
        samples=dict(samples or {}),
    )


def _statistics(model: MaskedAutoencoder) -> StatisticsFacts | None:
    """Return the statistics that the linear path reads, if it reads any."""
    if model.linear is None or model.linear.statistics is None:
        return None
    return StatisticsFacts(
        correlation_lags=CORRELATION_LAGS,
        bend_lags=BEND_LAGS,
        tokens=tuple(model.linear.statistics.tokens.values()),
    )


def _operations(model: MaskedAutoencoder) -> tuple[Operation, ...]:
    """Return what the encoder computes; nothing of one that does not say it."""
    recorder = Recorder()
    result = model.reader.record(recorder, model.encoder, model.options)
    if result is None:
        return ()
    recorder.call("Identity", result)
    return tuple(recorder.operations)


def _feature(feature: Feature, mean: float, std: float) -> FeatureFacts:
    return FeatureFacts(
        name=feature.name,
        unit=feature.unit,
        allow_missing=feature.allow_missing,
        mean=mean if math.isfinite(mean) else None,
        std=std,
        transform=feature.transform,
    )


def _category(category: Category, transform_output: tft.TFTransformOutput) -> CategoryFacts:
    return CategoryFacts(
        name=category.name,
        input=category.key,
        kind=category.kind,
        vocabulary_size=int(transform_output.vocabulary_size_by_name(category.vocabulary)),
        vocabulary_sha256=sha256(
            str(transform_output.vocabulary_file_by_name(category.vocabulary))
        ),
    )
