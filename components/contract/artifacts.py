"""Artifact types of our own, and where the files in them stand. All others are TFX's.

Kubeflow takes no type without a dot in its name, and none with properties of its own.
"""

from tfx.types.artifact import Artifact


class IngestAccount(Artifact):
    """`account.json`: records read, accepted, quarantined by reason; each shard's manifest."""

    TYPE_NAME = "ragline.IngestAccount"


class GateReport(Artifact):
    """`gate.json`: what the gate looked at. It exists only where the data may pass."""

    TYPE_NAME = "ragline.GateReport"


class BaselinesReport(Artifact):
    """`baselines.json`: what else reconstructs the eval split, and what the embedding is like."""

    TYPE_NAME = "ragline.Baselines"


class VerdictReport(Artifact):
    """`verdict.json`: blessed or not, with reasons, metrics and baselines."""

    TYPE_NAME = "ragline.Verdict"


class PushReport(Artifact):
    """`push.json`: the version and its path, or why nothing was pushed, and what else was done."""

    TYPE_NAME = "ragline.PushReport"


ACCOUNT_FILE = "account.json"
GATE_FILE = "gate.json"
VERDICT_FILE = "verdict.json"
PUSH_FILE = "push.json"
TRAINING_FILE = "training.json"
TRIALS_FILE = "tuner_results.json"  # As TFX's Tuner names it.
SAMPLES_FILE = "reconstruction_samples.json"
LOGS_FOLDER = "logs"
UNTRAINED_FOLDER = "untrained"
BASELINES_FILE = "baselines.json"
