"""Simulate the demo data of `ragline synth`: a wearable on the wrist of people who draw gestures.

A hand is a point mass on a critically damped spring, pulled towards a target that traces one of
five gestures on a level table, again and again until the recording ends. A recorder on the wrist
samples it at 50 Hz. One sequence is one recording; its entity is the wearer, who has a size, a
tempo, a tremor, a tilt of the wrist and a resting heart rate of their own.

The features of a step, in this order:

    ax, ay, az    m/s^2      specific force in the frame of the wrist; gravity shows in ay and az
    gz            rad/s      rate at which the direction of motion turns
    heart_rate    beats/min  follows the effort slowly; null where the optical sensor drops out
    saturation    1          exactly 0.0, always: every real data set has a constant feature

What makes real recordings awkward is in here on purpose: lengths from 1 to 200 steps, values that
are missing, labels that are absent, and pauses of the recorder, whose rows are exactly zero in
every feature. Such a row is a step like any other, and no padding.

Positions, velocities and accelerations in the plane are complex numbers, x + iy.
"""

import dataclasses
import itertools
import json
import math
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import NotRequired, TypedDict

import numpy as np

from ragline.components.contract.errors import UsageError

FEATURES = ("ax", "ay", "az", "gz", "heart_rate", "saturation")

_SHARDS = 4
_DECIMALS = 4

_STEP_S = 1 / 50
_GRAVITY = 9.81  # m/s^2
_SPRING = 25.0  # rad/s, natural frequency of the hand: follows a circle, rounds off a corner
_TREMOR_HZ = 9.0  # physiological tremor of the hand lies between 8 and 12 Hz
_SLOW = 0.2  # m/s; below it a direction of motion means little, and gz fades to 0
_HEART_S = 5.0  # time constant of the heart rate
_HEART_GAIN = 3.0  # beats/min for each m/s^2 of effort
_NOISE = (0.15, 0.15, 0.15, 0.05, 0.3, 0.0)  # standard deviation, in the units of FEATURES

_MEDIAN_STEPS = 60
_MAX_STEPS = 200
_EVENT_STEPS = 12  # shorter recordings have no room for a drop-out or a pause strictly inside


class Record(TypedDict):
    """Holds one sequence, as a line of JSON has it."""

    sequence_id: str
    entity_id: str
    features: dict[str, list[float | None]]  # FEATURES -> [T]; None where missing
    label: NotRequired[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Synthesised:
    """States which files `write` wrote.

    Attributes:
        paths: JSON Lines files, in order.
        sequences: Number of sequences in all files.
        steps: Number of steps in all sequences.
    """

    paths: tuple[pathlib.Path, ...]
    sequences: int
    steps: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Wearer:
    name: str
    size: float  # m, half the width of a gesture
    tempo: float  # Hz, gestures a second
    tremor: float  # m
    tilt: float  # rad, of the wrist about the x axis
    resting: float  # beats/min


def _triangle(phase: np.ndarray) -> np.ndarray:
    """Return a triangle wave between -1 and 1, rising from 0, with a period of 1."""
    wave: np.ndarray = np.arcsin(np.sin(2 * np.pi * phase)) * 2 / np.pi
    return wave


# Gesture -> (number of gestures drawn [T] -> position of the target [T], in half-widths).
_TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "circle": lambda phase: np.exp(2j * np.pi * phase),
    "figure_eight": lambda phase: np.sin(2 * np.pi * phase) + 0.6j * np.sin(4 * np.pi * phase),
    "zigzag": lambda phase: _triangle(phase / 2 - 0.25) + 0.6j * _triangle(2.5 * phase),
    "shake": lambda phase: 0.5 * np.sin(8 * np.pi * phase) + 0j,
    # Out in a flick, a moment of rest, back at leisure.
    "swipe": lambda phase: np.interp(phase % 1, (0, 0.2, 0.45, 1), (-1, 1, 1, -1)) + 0j,
}

GESTURES = tuple(_TARGETS)


def write(*, output: pathlib.Path, sequences: int = 2000, seed: int = 0) -> Synthesised:
    """Write the demo data as `output/gestures-00000.jsonl` and so on, one sequence a line.

    There are four files, or one for each sequence if there are fewer. They replace the files of an
    earlier call in `output`. The same seed gives the same bytes.

    Args:
        output: Folder to write into; made if it is missing.
        sequences: Number of sequences, at least 1.
        seed: Seed of the simulation, not negative.

    Returns:
        The files, and how much is in them.

    Raises:
        ValueError: `sequences` is below 1, or `seed` is negative. Nothing was written.
        UsageError: A file of somebody else would be read with these. Nothing was written.
    """
    records = gestures(sequences=sequences, seed=seed)
    names = _names(min(_SHARDS, sequences))
    bounds = [sequences * shard // len(names) for shard in range(len(names) + 1)]
    steps = 0
    for path in output.glob("gestures-*.jsonl"):
        if path.name not in _names(_SHARDS):
            raise UsageError(
                f"--output: {path}: expected no such file but those that `ragline synth` writes, "
                "which would be read with them; move it away"
            )
    output.mkdir(parents=True, exist_ok=True)
    # A folder, since some readers' patterns (Beam's, for one) let `*` match a file's leading dot.
    with tempfile.TemporaryDirectory(dir=output, prefix=".synth-") as unfinished:
        for name, (start, stop) in zip(names, itertools.pairwise(bounds), strict=True):
            path = pathlib.Path(unfinished, name)
            with path.open("w", encoding="utf-8", newline="\n") as lines:
                for record in itertools.islice(records, stop - start):
                    json_line = json.dumps(record, allow_nan=False, separators=(",", ":"))
                    lines.write(json_line + "\n")
                    steps += len(record["features"][FEATURES[0]])
        # All old files go before the first new one comes: whoever interrupts this finds files
        # missing, which shows, and never a mixture of two data sets, which does not.
        for name in _names(_SHARDS):
            (output / name).unlink(missing_ok=True)
        for name in names:
            pathlib.Path(unfinished, name).replace(output / name)
    return Synthesised(
        paths=tuple(output / name for name in names), sequences=sequences, steps=steps
    )


def _names(shards: int) -> list[str]:
    return [f"gestures-{shard:05d}.jsonl" for shard in range(shards)]


def gestures(*, sequences: int, seed: int) -> Iterator[Record]:
    """Make the records of the demo data one by one; the same arguments make the same records.

    Args:
        sequences: How many, at least 1. There is about one wearer for every three of them.
        seed: Not negative.

    Returns:
        An iterator of `sequences` records.

    Raises:
        ValueError: `sequences` is below 1, or `seed` is negative; raised by the call itself, not
            by the first `next`.
    """
    if sequences < 1:
        raise ValueError(
            f"Invalid value for argument sequences. Expected: >= 1. Received: {sequences}"
        )
    if seed < 0:
        raise ValueError(f"Invalid value for argument seed. Expected: >= 0. Received: {seed}")
    rng = np.random.default_rng(seed)
    wearers = [_wearer(rng, f"wearer-{number:03d}") for number in range(max(1, sequences // 3))]
    return (
        _record(rng, f"g{number:05d}", wearers[rng.integers(len(wearers))], length)
        for number, length in enumerate(_lengths(rng, sequences).tolist())
    )


def _lengths(rng: np.random.Generator, sequences: int) -> np.ndarray:
    """Draw the steps of each sequence: log-normal, and 2% that broke off after 1 to 4 steps."""
    lengths = np.rint(_MEDIAN_STEPS * np.exp(rng.normal(0, 0.6, sequences)))
    broken_off = rng.permutation(sequences)[: 1 + sequences // 50]
    lengths[broken_off] = 1 + np.arange(len(broken_off)) % 4  # so that one has length 1, for sure
    steps: np.ndarray = np.clip(lengths, 1, _MAX_STEPS).astype(np.int64)
    return steps


def _wearer(rng: np.random.Generator, name: str) -> _Wearer:
    return _Wearer(
        name=name,
        size=0.12 * np.exp(rng.normal(0, 0.2)),
        tempo=1.0 * np.exp(rng.normal(0, 0.15)),
        tremor=0.0005 * np.exp(rng.normal(0, 0.4)),
        tilt=rng.normal(0, 0.25),
        resting=rng.normal(68, 8),
    )


def _record(rng: np.random.Generator, name: str, wearer: _Wearer, length: int) -> Record:
    gesture = GESTURES[rng.integers(len(GESTURES))]
    velocity, acceleration = _follow(_target(rng, gesture, wearer, length))
    values = _sense(rng, wearer, velocity, acceleration)
    if length >= _EVENT_STEPS and rng.random() < 0.10:
        values[_inside(rng, length), FEATURES.index("heart_rate")] = np.nan
    if length >= _EVENT_STEPS and rng.random() < 0.08:
        values[_inside(rng, length)] = 0.0
    columns = (np.round(values, _DECIMALS) + 0.0).T.tolist()  # -0.0 + 0.0 is 0.0
    record: Record = {
        "sequence_id": name,
        "entity_id": wearer.name,
        "features": {
            feature: [None if math.isnan(value) else value for value in column]
            for feature, column in zip(FEATURES, columns, strict=True)
        },
    }
    if rng.random() < 0.6:
        record["label"] = gesture
    return record


def _target(rng: np.random.Generator, gesture: str, wearer: _Wearer, length: int) -> np.ndarray:
    """Draw where the wearer wants the hand to be [T], in m; no two repetitions are the same."""
    seconds = _STEP_S * np.arange(length)
    size = wearer.size * np.exp(rng.normal(0, 0.08))
    tempo = wearer.tempo * np.exp(rng.normal(0, 0.08))
    turned = np.exp(1j * rng.normal(0, 0.1))
    phase = rng.uniform(0, 0.1) + tempo * seconds
    trembling = np.exp(1j * rng.uniform(0, 2 * np.pi))
    tremor = wearer.tremor * np.sin(2 * np.pi * _TREMOR_HZ * seconds)
    target: np.ndarray = size * turned * _TARGETS[gesture](phase) + trembling * tremor
    return target


def _follow(target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Let the hand follow the target, from rest.

    With d the distance from the target and w the natural frequency, d'' = -w^2 d - 2 w d'. While
    the target stands still, d(t) = (d + (d' + w d) t) exp(-w t) exactly, so that the recurrence is
    stable for any step.

    Args:
        target: Complex [T], in m.

    Returns:
        Velocity in m/s and acceleration in m/s^2, each complex [T].
    """
    decay = math.exp(-_SPRING * _STEP_S)
    velocities, accelerations = [], []
    place, velocity = complex(target[0]), 0j
    for goal in target.tolist():
        distance = place - goal
        velocities.append(velocity)
        accelerations.append(-_SPRING * (_SPRING * distance + 2 * velocity))
        drift = (velocity + _SPRING * distance) * _STEP_S
        place = goal + (distance + drift) * decay
        velocity = (velocity - _SPRING * drift) * decay
    return np.array(velocities), np.array(accelerations)


def _sense(
    rng: np.random.Generator, wearer: _Wearer, velocity: np.ndarray, acceleration: np.ndarray
) -> np.ndarray:
    """Return what the recorder reads [T, F], with noise, in the order and units of FEATURES."""
    cos, sin = math.cos(wearer.tilt), math.sin(wearer.tilt)
    effort = np.abs(acceleration)
    values = np.zeros((len(velocity), len(FEATURES)))
    values[:, 0] = acceleration.real
    values[:, 1] = acceleration.imag * cos + _GRAVITY * sin
    values[:, 2] = _GRAVITY * cos - acceleration.imag * sin
    # The angle of v turns at Im(v* a) / |v|^2.
    values[:, 3] = (velocity.conj() * acceleration).imag / (np.abs(velocity) ** 2 + _SLOW**2)
    values[:, 4] = _heart_rate(wearer.resting, rng.uniform(0, 10), effort)
    return values + rng.normal(size=values.shape) * _NOISE


def _heart_rate(resting: float, raised: float, effort: np.ndarray) -> np.ndarray:
    """Return the heart rate [T], a first-order response to the effort, from `resting + raised`."""

    def beat(rate: float, push: float) -> float:
        return rate + (resting + _HEART_GAIN * push - rate) * _STEP_S / _HEART_S

    return np.fromiter(
        itertools.accumulate(effort[:-1].tolist(), beat, initial=resting + raised), float
    )


def _inside(rng: np.random.Generator, length: int) -> slice:
    """Draw two to six steps in a row, neither the first nor the last of the sequence among them."""
    run = rng.integers(2, 7)
    start = rng.integers(1, length - run)
    return slice(start, start + run)
