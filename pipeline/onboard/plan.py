"""Plan a run from a sample of its input, for `ragline plan`: what it would do, and what stops it.

Nothing here imports TensorFlow, Beam or TFX, so an answer takes seconds; `plan_text.py` shows it.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.files import places
from ragline.components.ingest.preview import sampling
from ragline.components.ingest.preview.preview_result import Preview
from ragline.components.ingest.records import checks
from ragline.components.ingest.source.read_plan import find_files, list_files
from ragline.components.train import decoders, encoders, terms
from ragline.components.train.data import batching, budget
from ragline.components.train.options import HeadOptions, TrainOptions
from ragline.pipeline.config import Config, Contract, read_contract

# Two cores that train the demo's model (64 units, 6 features) see 100,000 valid steps a second, at
# six floating-point operations a step and parameter, forwards and back.
_OPERATIONS_A_SECOND = 2.5e10
_OPERATIONS_A_PARAMETER = 6
# Seconds of TFX's stages around the training, whatever the data; and those that Transform,
# statistics and evaluation add for a million steps. The demo's 140,000 steps take 70 s in them.
_SECONDS_AROUND = 60.0
_SECONDS_A_MILLION_STEPS = 90.0
# A batch of 32 sequences of 4,096 steps takes 400 MB of an LSTM of 64 units. TensorFlow and TFX
# take 1 GB before the first stage, and 2.3 GB in the last, which calls the model elsewhere.
_BYTES_A_STATE = 48
_BYTES_BEFORE = 1_000_000_000
_BYTES_AROUND = 2_300_000_000
MOST_WORDS = 6
_MOST_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEstimate:
    """Holds an estimate of the training on the whole input, made from a sample.

    Attributes:
      sequences: split -> number of sequences that are read.
      steps: number of steps that are read, in both splits.
      of_steps: number of steps of the input; more than `steps` with `train.sample_steps`.
      batches: plan of the batches.
      waste: share of padding in training batches.
      updates: number of batches an epoch.
      epochs: number of passes over the training split, at most.
      parameters: number of parameters of the model.
      seconds: duration of a whole run, with all epochs and the trials of a search.
      bytes: memory at the longest batch.
    """

    sequences: dict[str, int]
    steps: int
    of_steps: int
    batches: batching.BatchPlan
    waste: float
    updates: int
    epochs: int
    parameters: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """States what a run would do, and what stops it.

    Attributes:
      preview: what a sample of the input holds.
      training: estimate of the training; None if no sequence of the sample would be trained on.
      stops: sentences on what would stop the run, or keep its model from being blessed.
      notes: sentences on what a person should know.
    """

    preview: Preview
    training: TrainingEstimate | None
    stops: tuple[str, ...]
    notes: tuple[str, ...]


def plan_run(config: Config) -> Plan:
    """Read a sample of the input, and plan the run.

    Raises:
      BadDataError: what would stop a run before its first record.
    """
    contract = read_contract(config)
    preview = sampling.take(config.input, contract.columns)
    return Plan(
        preview=preview,
        training=_estimate_training(preview, contract.columns, config),
        stops=tuple(_stops(preview, config, contract)),
        notes=tuple(_notes(preview, config, contract.rules)),
    )


def _estimate_training(
    preview: Preview, columns: Columns, config: Config
) -> TrainingEstimate | None:
    train = preview.lengths[preview.split == SPLITS[0]]
    if not len(train):
        return None
    scale = 1 / preview.share
    kept = _kept_shares(preview, config.train)
    drawn = np.random.default_rng(config.train.seed).permutation(train)
    drawn = drawn[: math.ceil(kept[SPLITS[0]] * len(drawn))]
    options = budget.resolve(config.train, round(scale * len(drawn)))
    batches = batching.plan_training(options, drawn, len(columns.features))
    epoch = batching.epoch_size(batches, drawn, batching.fixed_steps(options, drawn))
    number = parameters(columns, options, config.heads)
    steps = scale * int(preview.lengths.sum())
    epochs = options.epochs * (1 + config.tune.trials)
    operations = _OPERATIONS_A_PARAMETER * number * epoch.padded_steps * scale * epochs
    states = math.ceil(options.batch_size / options.gradient_accumulation_steps)
    states *= int(preview.lengths.max())
    layers = options.layers * (1.5 if options.bidirectional else 1)
    trained = _BYTES_BEFORE + states * layers * options.units * _BYTES_A_STATE
    return TrainingEstimate(
        sequences={
            name: round(scale * kept[name] * int((preview.split == name).sum())) for name in SPLITS
        },
        steps=round(sum(scale * kept[name] * _steps(preview, name) for name in SPLITS)),
        of_steps=round(steps),
        batches=batches,
        waste=epoch.waste,
        updates=max(1, round(scale * epoch.batches)),
        epochs=options.epochs,
        parameters=number,
        seconds=operations / _OPERATIONS_A_SECOND
        + _SECONDS_AROUND
        + _SECONDS_A_MILLION_STEPS * steps / 1e6,
        bytes=round(max(_BYTES_AROUND, trained)),
    )


def _kept_shares(preview: Preview, options: TrainOptions) -> dict[str, float]:
    """Return which share of each split a training reads: split -> share of its steps."""
    wanted = options.sample_steps * preview.share
    return {
        name: min(1.0, wanted / max(_steps(preview, name), 1)) if wanted else 1.0 for name in SPLITS
    }


def _steps(preview: Preview, split: str) -> int:
    return int(preview.lengths[preview.split == split].sum())


def parameters(columns: Columns, options: TrainOptions, heads: Iterable[HeadOptions] = ()) -> int:
    """Return about how many parameters the recurrent model has: layers, embedding, outputs, heads.

    The linear path is left out, because it costs next to nothing a step, and so are the tokens of
    categories, whose number is known only once all data has been read.
    """
    features, size = len(columns.features), options.embedding_size
    encoder, decoder = encoders.of(options.encoder), decoders.of(options.decoder)
    inputs = size + (features if decoder.reads_steps else 0)
    embedding = (encoder.outputs(options) + 1) * size
    outputs = (decoder.outputs(options) + 1) * features
    outputs += sum((size + 1) * head.outputs for head in heads)
    read = encoder.parameters(features, options)
    return read + decoder.parameters(inputs, options, encoder) + embedding + outputs


def _stops(preview: Preview, config: Config, contract: Contract) -> Iterator[str]:
    rejected = sum(preview.reasons.values())
    if not preview.read:
        yield "no_data: expected at least one record, the sample holds none"
        return
    if rejected > config.quarantine.max_share * preview.read:
        yield (
            f"quarantine: {rejected} of {preview.read} records would be rejected "
            f"({rejected / preview.read:.1%}), more than quarantine.max_share = "
            f"{config.quarantine.max_share:.1%}"
        )
        yield from checks.remedies(dict.fromkeys(bad.detail for bad in preview.bad))
    counts = {name: int((preview.split == name).sum()) for name in SPLITS}
    for name, count in counts.items():
        if not count and preview.share == 1.0:
            entities = sum(preview.entities.values())
            yield (
                f"insufficient_data: the {name} split is empty: expected at least one sequence in "
                f"it; {entities} {'entity falls' if entities == 1 else 'entities fall'} in the "
                "other, and one entity always falls in one split"
            )
    yield from _unlearnable(preview, config, contract.rules)
    yield from _outside(preview, contract.schema)


def foresee(config: Config, contract: Contract) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stops a run before it trains, and what its user should know: sentences.

    Nothing is certain unless the input is small enough to be read whole. Mistakes in the data
    themselves are left to ingest.
    """
    files = list_files(find_files(config.input), config.input)
    if sum(places.size(file.path) for file in files) > sampling.SAMPLE_BYTES:
        return (), ()
    preview = sampling.take(config.input, contract.columns)
    rejected = sum(preview.reasons.values())
    if preview.share < 1.0 or rejected > config.quarantine.max_share * preview.read:
        return (), ()
    stops = tuple(_unlearnable(preview, config, contract.rules))
    return stops, tuple(_notes(preview, config, contract.rules))


def _unlearnable(preview: Preview, config: Config, rules: Rules) -> Iterator[str]:
    count = int((preview.split == SPLITS[1]).sum())
    if preview.share == 1.0 and 0 < count < rules.min_eval:
        yield too_few(count, len(preview.lengths), rules.min_eval, config)
    if (
        len(preview.lengths)
        and not preview.categories
        and all(c.is_constant for c in preview.columns)
    ):
        yield (
            "schema: expected a feature that varies, every one of "
            f"{_named([column.name for column in preview.columns])} has one value throughout: "
            "there is nothing to learn; take other columns of the data into the schema"
        )
    for place, head in enumerate(config.heads):
        yield from _unlearnable_head(f"heads.{place}", head, preview)


def _unlearnable_head(key: str, head: HeadOptions, preview: Preview) -> Iterator[str]:
    values = {str(value) for value in preview.context[head.column] if value is not None}
    if not values:
        yield f"{key}: no sequence has a {head.column!r}, which it is to learn"
        return
    if unknown := terms.of(head).unknown(values):
        yield f"{key}.classes: expected all classes of {head.column!r}, lacks {_named(unknown)}"
    elif len(values) == 1:
        yield (
            f"{key}: expected a {head.column!r} that differs between sequences, all that have one "
            f"have {_named([*values])}: there is nothing to tell apart; take the head out"
        )


def _named(names: Sequence[str]) -> str:
    """Return the first names as a list in words."""
    more = f" and {len(names) - MOST_WORDS} more" if len(names) > MOST_WORDS else ""
    return f"{', '.join(names[:MOST_WORDS])}{more}"


def too_few(count: int, sequences: int, least: int, config: Config) -> str:
    """Return why so few sequences to evaluate by bless no model, and the line to paste."""
    reason = (
        f"not blessed: the eval split has {count} sequences, fewer than min_eval = {least}; paste "
    )
    share = share_for(sequences, least)
    if share and config.input.eval is None and config.input.eval_from is None:
        return f"{reason}`eval_share = {share:g}` below [input]"
    place = "the .verdict.toml of the configuration's name, beside it"
    if config.verdict is not None:
        place = config.verdict
    elif config.schema is not None:
        name = os.path.basename(config.schema).removesuffix(".pbtxt")
        place = f"{name}.verdict.toml beside the schema"
    return f"{reason}`min_eval = {max(1, count)}` into {place}, or add data"


def share_for(sequences: int, least: int) -> float | None:
    """Return the eval_share that likely puts `least` sequences into eval; None if it is above 0.6.

    A split by a hash gives no exact share, so two standard deviations are added.
    """
    share = math.ceil(20 * (least + 2 * math.sqrt(least)) / max(1, sequences)) / 20
    return share if share <= _MOST_SHARE else None


def _outside(preview: Preview, schema: Any) -> Iterator[str]:
    """Yield what the gate would stop: values outside the schema's domains."""
    contract = {feature.name: feature for feature in schema.feature}
    for column in preview.columns:
        domain = contract[column.name].float_domain
        if column.low is None or column.high is None:
            continue
        if domain.HasField("min") and column.low < domain.min:
            yield f"schema: {column.name!r}: {column.low:g} is below its min of {domain.min:g}"
        if domain.HasField("max") and column.high > domain.max:
            yield f"schema: {column.name!r}: {column.high:g} is above its max of {domain.max:g}"
    for name, counted in (*preview.context.items(), *preview.categories.items()):
        domain_words = {*contract[name].string_domain.value}
        unknown = sorted(
            str(word) for word in counted if domain_words and word and word not in domain_words
        )
        if unknown:
            yield (
                f"schema: {name!r}: expected one of its string_domain, received "
                f"{', '.join(unknown[:MOST_WORDS])}"
            )


def _notes_on_sample(preview: Preview, config: Config, rules: Rules) -> Iterator[str]:
    """Yield what `train.sample_steps` makes too small, or cannot make as small."""
    kept, key = (
        _kept_shares(preview, config.train),
        f"train.sample_steps = {config.train.sample_steps}",
    )
    if kept[SPLITS[0]] < 1.0:
        an_entity = _steps(preview, SPLITS[0]) / max(1, preview.entities.get(SPLITS[0], 0))
        if an_entity > config.train.sample_steps:
            yield (
                f"{key} is less than the {an_entity:,.0f} steps of an entity, of which all are "
                "kept or none: the sample may be one entity"
            )
    sequences = kept[SPLITS[1]] * int((preview.split == SPLITS[1]).sum()) / preview.share
    if kept[SPLITS[1]] < 1.0 and sequences < rules.min_eval:
        yield (
            f"{key} leaves about {sequences:,.0f} sequences to evaluate by, fewer than min_eval = "
            f"{rules.min_eval}, and no model is blessed by fewer: take more steps"
        )


def _notes(preview: Preview, config: Config, rules: Rules) -> Iterator[str]:
    if preview.share < 1.0:
        yield (
            f"a sample of {preview.share:.1%} of the bytes was read: a fault in the rest, such as "
            "an id that stands twice, is not seen"
        )
    if constant := [column.name for column in preview.columns if column.is_constant]:
        yield f"constant, and so of no use: {_named(constant)}; take them out of the schema"
    for place, head in enumerate(config.heads):
        values = {str(value) for value in preview.context[head.column] if value is not None}
        if (absent := [name for name in head.classes if name not in values]) and values:
            yield f"heads.{place}.classes: no sequence has the {head.column!r} {_named(absent)}"
    for column in preview.columns:
        if column.steps and column.missing > column.steps / 2:
            share = column.missing / column.steps
            yield f"{column.name!r} is missing in {share:.0%} of all steps"
    train = int((preview.split == SPLITS[0]).sum())
    if 0 < train < config.train.batch_size and preview.share == 1.0:
        yield (
            f"train.batch_size = {config.train.batch_size} is more than the {train} sequences to "
            "train on: an epoch is one update"
        )
    yield from _notes_on_sample(preview, config, rules)
    if preview.equal_times:
        yield (
            f"{preview.equal_times:,} steps have the time of the step before in their sequence: "
            "expected units that do not begin again in group_by, or input.steps.duplicate_time"
        )
    for name, counted in preview.categories.items():
        words, steps = len(counted), sum(counted.values())
        if words > MOST_WORDS and 2 * words > steps:
            yield (
                f"category {name!r} has {words:,} words in {steps:,} steps: expected few words "
                "that come again; take it out of the schema, or see if they are numbers or times"
            )
    longest = int(preview.lengths.max(initial=0))
    if longest == config.input.steps.max_length and preview.policies.get("windows"):
        yield (
            f"{preview.policies['windows']} windows are cut of sequences longer than "
            f"input.steps.max_length = {longest}"
        )
