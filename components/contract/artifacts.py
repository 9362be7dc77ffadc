"""Define the artifact types that TFX lacks; `file_names.py` has the files in them.

Kubeflow refuses a type without a dot in its name, and a type with properties of its own.
"""

from tfx.types.artifact import Artifact


class IngestAccount(Artifact):
    """Holds `account.json`: records read, accepted, quarantined; each shard's manifest.

    And `sources.parquet`: the file and the line that each sequence came from.
    """

    TYPE_NAME = "ragline.IngestAccount"


class GateReport(Artifact):
    """Holds `gate.json`: splits and drift; it exists only if the data passed the gate."""

    TYPE_NAME = "ragline.GateReport"


class BaselinesReport(Artifact):
    """Holds `baselines.json`: scores of the baselines, metrics of the embedding."""

    TYPE_NAME = "ragline.Baselines"


class VerdictReport(Artifact):
    """Holds `verdict.json`: blessed or not, with reasons, metrics and baselines."""

    TYPE_NAME = "ragline.Verdict"


class PushReport(Artifact):
    """Holds `push.json`: the version and its path, or why nothing was pushed; and notes."""

    TYPE_NAME = "ragline.PushReport"
