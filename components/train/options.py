"""What may be configured of training: the `[train]` table of a configuration."""

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The `[train]` table.

    Attributes:
      units: size of the hidden state of encoder and decoder, each; 64 is the usual start.
      embedding_size: E, numbers in the code.
      batch_size: B, sequences in one update, over all replicas together.
      epochs: at most so many passes over the training split.
      patience: stop after so many epochs without a better masked MSE on the eval split, and keep
        the best epoch's weights.
      learning_rate: Adam's step size.
      clip_norm: the gradient's global norm is clipped to this; recurrent gradients explode without
        (Pascanu, Mikolov, Bengio 2013).
      precision: `bfloat16` computes the layers in bfloat16 and keeps weights, loss and sums in
        float32; it needs no loss scaling, as float16 would.
      strategy: `one` device; `mirrored`, all GPUs of this machine (or all logical devices, if it
        has none); `auto`, mirrored where there are several GPUs.
      seed: of the weights and of the order of sequences; the same seed gives the same epochs.
    """

    units: int = 64
    embedding_size: int = 32
    batch_size: int = 32
    epochs: int = 20
    patience: int = 4
    learning_rate: float = 3e-3
    clip_norm: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    strategy: Literal["auto", "one", "mirrored"] = "auto"
    seed: int = 0

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: expected at least 1, received {getattr(self, name)}"
            for name in ("units", "embedding_size", "batch_size", "epochs", "patience")
            if getattr(self, name) < 1
        ]
        mistakes += [
            f"{name}: expected a positive number, received {getattr(self, name)}"
            for name in ("learning_rate", "clip_norm")
            if not 0.0 < getattr(self, name) < float("inf")
        ]
        if not 0 <= self.seed < 2**31:
            mistakes.append(f"seed: expected 0 to 2**31 - 1, received {self.seed}")
        if mistakes:
            raise ValueError("\n".join(mistakes))
