"""Artifact types of our own, and where the files in them stand. All others are TFX's."""

from typing import ClassVar

from tfx.types.artifact import Artifact, Property, PropertyType


class IngestAccount(Artifact):
    """`account.json`: records read, accepted, quarantined by reason; each shard's manifest."""

    TYPE_NAME = "RaglineIngestAccount"


class GateReport(Artifact):
    """`gate.json`: what the gate looked at. It exists only where the data may pass."""

    TYPE_NAME = "RaglineGateReport"


class Baselines(Artifact):
    """`baselines.json`: what else reconstructs the eval split, and what the embedding is like."""

    TYPE_NAME = "RaglineBaselines"


class Verdict(Artifact):
    """`verdict.json`: blessed or not, with reasons, metrics and baselines."""

    TYPE_NAME = "RaglineVerdict"
    PROPERTIES: ClassVar = {"blessed": Property(type=PropertyType.INT)}


class PushReport(Artifact):
    """`push.json`: the version and its path, or why nothing was pushed, and what else was done."""

    TYPE_NAME = "RaglinePushReport"


ACCOUNT_FILE = "account.json"
GATE_FILE = "gate.json"
VERDICT_FILE = "verdict.json"
PUSH_FILE = "push.json"
TRAINING_FILE = "training.json"
EXHIBIT_FILE = "exhibit.json"
LOGS_FOLDER = "logs"
UNTRAINED_FOLDER = "untrained"
BASELINES_FILE = "baselines.json"
