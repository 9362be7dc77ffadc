"""Define the options of training: `[train]`, `[tune]`, the `[[heads]]` and the `[[terms]]`."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from ragline.components.contract.signatures import collisions, legal
from ragline.components.train import decoders, encoders, errors, terms
from ragline.components.train import padding as padding_strategies

# The values of a preset, for the keys that are not set; `base` has the defaults.
PRESETS: dict[str, dict[str, int]] = {
    "small": {"units": 32, "embedding_size": 16, "updates": 500},
    "base": {},
    "large": {"units": 128, "embedding_size": 64, "updates": 3000},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Holds the `[train]` table.

    Attributes:
      preset: which `units`, `embedding_size` and `updates` hold where they are not set; their
        defaults below are those of `base`. docs/quality.md has what each costs and reaches.
      padding: how padding is kept out of the loss. `crop`, the default, crops the decoder's output
        by the mask; `equal_length` has no padding, since every batch holds sequences of one length;
        `remask` masks the repeated embedding again, so that the decoder stops at the last
        valid step;
        `keras` is the textbook model (`Masking(0.0)`, `RepeatVector`, a plain loss over all steps),
        kept to show what goes wrong; it takes no categories. docs/padding.md compares them.
      error: error of a value in the loss: `squared`, `absolute`, `huber` (quadratic up to 1, linear
        beyond) or `log_cosh`; metrics are of squared errors with each of them.
      average: what counts alike in the loss: each `value`, each `step`, each `sequence`, or each
        `feature`, so that one that is observed rarely counts as much as the others, as it does in
        `normalised_mse`; docs/quality.md measures what that is worth.
      encoder: what reads the sequences: `lstm` or `gru`, recurrent layers; `tcn`, dilated causal
        convolutions; `transformer`, attention. docs/quality.md compares them, and docs/extending.md
        says how to add another.
      layers: layers of the encoder, and as many in the decoder.
      bidirectional: whether a recurrent encoder also reads backwards, from the last valid step.
      decoder: `repeat` reconstructs from the embedding alone; `teacher` also reads the true step
        before the one it reconstructs (teacher forcing), so that its embedding has less to hold.
        Its layers are those of a recurrent encoder; LSTM beside any other.
      linear_steps: steps of the linear path around the recurrence, which starts as a PCA of
        sequences resampled to so many steps (fewer where steps times features would exceed 2,048)
        and of their statistics; 0 for a model without it. docs/quality.md measures its worth.
      statistics: weight of a term of the training loss, by which one linear layer predicts the
        sequence's statistics from the embedding: of each feature mean, deviation, least, most,
        correlations with itself some steps later and bends, of each category the shares and pairs
        of its most frequent tokens, and the length. The weight of the reconstruction is 1. It makes
        the embedding of more use for labels, costs nothing once trained, and chooses no epoch; 0
        takes it away. docs/quality.md measures its worth.
      dropout: share of each layer's outputs that is dropped in training, the same units
        at all steps of a sequence (Gal and Ghahramani 2016), so that padding changes no draw.
      units: width of each layer.
      embedding_size: E, the size of the embedding.
      batch_size: the size of the batch of an update, over all replicas, in sequences of mean
        length: a batch of longer sequences holds fewer, one of shorter ones more. With
        `equal_length` and `keras` it is the number of sequences itself. 0: 8 of fewer than 300
        training sequences, 16 of fewer than 1,000, otherwise 32.
      gradient_accumulation_steps: parts in which the batch of an update is computed, one after
        another, to save memory; the update is the same.
      updates: the budget of a training whose `epochs` are not set: as many passes over the training
        split as make so many updates, at least a fiftieth of the number (20 passes of 1,000), no
        more passes than make 20 times as many, and at most 200.
      sample_steps: steps of the training split to train on, in expectation, where it has more: all
        sequences of some entities. Of the eval split as many are kept, by which the epoch is chosen
        and the model judged. 0 takes everything. docs/scale.md says how a sample is drawn, and when
        to set it.
      epochs: at most so many passes over the training split; 0 for as many as `updates` pays for.
      patience: stop after so many epochs without a better objective on the eval split, and keep the
        best epoch's weights; 0 for a fifth of the epochs, at least 4. The objective is the
        weighted mean of all terms (the values, each category, each head), each relative to its
        trivial baseline; docs/verdict.md.
      learning_rate: Adam's step size; over the last 30% of the planned updates it falls to 0.
      averaging: share that an exponential moving average of the weights keeps at each update
        (Polyak and Juditsky 1992); the averages are evaluated, kept and exported. After n updates
        the share is at most (1 + n) / (10 + n), so that the average does not hang on to the start.
        0 takes the weights themselves.
      clip_norm: global norm to which the gradient is clipped; recurrent gradients explode without
        (Pascanu, Mikolov, Bengio 2013).
      precision: `bfloat16` computes the layers in bfloat16 and keeps weights, loss and sums in
        float32; it needs no loss scaling, as float16 would.
      strategy: `one` device; `mirrored`, all GPUs of this machine (or all logical devices, if it
        has none); `multi_worker`, those of all machines that TF_CONFIG names, see
        docs/operations.md; `auto`, mirrored where there are several GPUs. The weights are the same
        but for rounding.
      seed: seed of the weights and of the order of sequences; the same seed gives the same epochs.
    """

    preset: Literal["small", "base", "large"] = "base"
    padding: Annotated[str, padding_strategies.NAMES] = "crop"
    error: Annotated[str, errors.NAMES] = "squared"
    average: Literal["value", "step", "sequence", "feature"] = "value"
    encoder: Annotated[str, encoders.NAMES] = "lstm"
    layers: int = 1
    bidirectional: bool = False
    decoder: Annotated[str, decoders.NAMES] = "repeat"
    linear_steps: int = 32
    statistics: float = 1.0
    dropout: float = 0.0
    units: int = 64
    embedding_size: int = 32
    batch_size: int = 0
    gradient_accumulation_steps: int = 1
    updates: int = 1000
    sample_steps: int = 0
    epochs: int = 0
    patience: int = 0
    learning_rate: float = 3e-3
    averaging: float = 0.99
    clip_norm: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    strategy: Literal["auto", "one", "mirrored", "multi_worker"] = "auto"
    seed: int = 0

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        counts = (
            "layers",
            "units",
            "embedding_size",
            "gradient_accumulation_steps",
            "updates",
        )
        mistakes = [
            f"{name}: expected at least 1, received {getattr(self, name)}"
            for name in counts
            if getattr(self, name) < 1
        ]
        mistakes += [
            f"{name}: expected at least 1, or 0 to leave it to the data, received "
            f"{getattr(self, name)}"
            for name in ("batch_size", "epochs", "patience")
            if getattr(self, name) < 0
        ]
        if self.sample_steps < 0:
            mistakes.append(
                f"sample_steps: expected at least 1, or 0 for all steps, received "
                f"{self.sample_steps}"
            )
        mistakes += [
            f"{name}: expected a positive number, received {getattr(self, name)}"
            for name in ("learning_rate", "clip_norm")
            if not 0.0 < getattr(self, name) < float("inf")
        ]
        if self.linear_steps < 2 and self.linear_steps != 0:
            mistakes.append(f"linear_steps: expected 0 or at least 2, received {self.linear_steps}")
        mistakes += [
            f"{name}: expected a share below 1, received {getattr(self, name)}"
            for name in ("dropout", "averaging")
            if not 0.0 <= getattr(self, name) < 1.0
        ]
        if not 0.0 <= self.statistics < float("inf"):
            mistakes.append(f"statistics: expected at least 0, received {self.statistics}")
        if not 0 <= self.seed < 2**31:
            mistakes.append(f"seed: expected 0 to 2**31 - 1, received {self.seed}")
        unknown = [
            *padding_strategies.NAMES.mistakes("padding", self.padding),
            *errors.NAMES.mistakes("error", self.error),
            *encoders.NAMES.mistakes("encoder", self.encoder),
            *decoders.NAMES.mistakes("decoder", self.decoder),
        ]
        mistakes += unknown
        if not unknown:
            mistakes += padding_strategies.of(self.padding).mistakes(self)
            mistakes += encoders.of(self.encoder).mistakes(self)
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def policy(self) -> str:
        """Return Keras's policy of the precision."""
        return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[self.precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """Holds the `[tune]` table.

    Attributes:
      trials: number of settings of `train.learning_rate`, `units`, `layers` and `dropout` to try
        before the training, which takes the best; the first is the one in `[train]`, the others are
        drawn by `train.seed`. 0 tries none. Each costs about a training; docs/quality.md says
        how it is scored.
      held_out: share of the training split's entities that a trial is scored by, and does not
        train on. The eval split has no part in the choice: the verdict must be on data that did not
        choose the model.
    """

    trials: int = 0
    held_out: float = 0.2

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = []
        if self.trials < 0:
            mistakes.append(f"trials: expected at least 0, received {self.trials}")
        if not 0.0 < self.held_out < 1.0:
            mistakes.append(
                f"held_out: expected a share above 0 and below 1, received {self.held_out}"
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOptions:
    """Holds one of the `[[heads]]`: a supervised output on the embedding, for labelled sequences.

    Attributes:
      name: name of the head, of its loss and of its metrics.
      column: the context column that holds the label; it may be absent from a record.
      type: `classification` by cross-entropy, or `regression` by squared error.
      classes: classes of a classification, in the order of the outputs; integers as text.
      weight: weight of the head's loss; that of the reconstruction is 1.
    """

    name: str
    column: str
    type: Annotated[str, terms.NAMES]
    classes: tuple[str, ...] = ()
    weight: float = 1.0

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        unknown = terms.NAMES.mistakes("type", self.type)
        _check(self, unknown or terms.head_type(self.type).mistakes(self))

    @property
    def outputs(self) -> int:
        """Return the number of the head's outputs."""
        return terms.of(self).outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class TermOptions:
    """Holds one of the `[[terms]]`: a term of the objective beside values, categories and heads.

    Attributes:
      name: name of the term, and of its metric, `term/<name>/error`.
      type: what it is: `slices`, by which two random slices of a sequence have like embeddings (it
        needs a weight of about 0.1; docs/quality.md measures its worth), or a class of an installed
        package; docs/extending.md says how to write one.
      options: options of the type, `KEY = VALUE` each.
      weight: weight of its error; that of the reconstruction is 1.
    """

    name: str
    type: Annotated[str, terms.OF_SEQUENCES]
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    weight: float = 1.0

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        unknown = terms.OF_SEQUENCES.mistakes("type", self.type)
        _check(self, unknown or terms.sequence_type(self.type).mistakes(self))


def _check(of: HeadOptions | TermOptions, mistakes_of_type: Iterable[str]) -> None:
    mistakes = [] if of.name.strip() else [f"name: expected one, received {of.name!r}"]
    mistakes += [*mistakes_of_type, *_mistakes_of_weight(of.weight)]
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _mistakes_of_names(
    key: str, of: Collection[HeadOptions] | Collection[TermOptions]
) -> Iterator[str]:
    """Yield a sentence on names that two have, or that become the same one in the encoder."""
    names = [each.name for each in of]
    if len(set(names)) < len(names):
        yield f"{key}: expected each name once, received {', '.join(names)}"
    for name, earlier in collisions(names):
        yield (
            f"{key}: the encoder would have two outputs {legal(name)!r}, of {earlier!r} and of "
            f"{name!r}; expected names that differ in their letters and digits"
        )


def mistakes_of_objective(
    heads: Collection[HeadOptions], further: Collection[TermOptions], options: TrainOptions
) -> Iterator[str]:
    """Yield a sentence on each name that two have, and on each term whose batches would be cut."""
    yield from _mistakes_of_names("heads", heads)
    yield from _mistakes_of_names("terms", further)
    for term in terms.comparing(further):
        compares = f"terms: {term.name!r} compares the sequences of a whole batch; expected"
        if (parts := options.gradient_accumulation_steps) > 1:
            yield f"{compares} train.gradient_accumulation_steps = 1, received {parts}"
        if options.strategy == "multi_worker":
            yield f"{compares} train.strategy = 'one', received {options.strategy!r}"


def _mistakes_of_weight(weight: float) -> list[str]:
    if 0.0 < weight < float("inf"):
        return []
    return [f"weight: expected a positive number, received {weight}"]
