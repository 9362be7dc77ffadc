"""Read what a run left beside its summary: its configuration, and the samples of its training."""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragline.components.contract.columns import SEQUENCE_ID
from ragline.components.contract.file_names import SAMPLES_FILE, SOURCES_FILE
from ragline.components.ingest.output import sources
from ragline.pipeline.runs.redaction import redacted
from ragline.pipeline.runs.workdir import CONFIG_FILE

if TYPE_CHECKING:  # Its library of a database takes 0.06 s, and the page needs no database.
    from ragline.pipeline.cache.lineage import Stage


def read_config(folder: pathlib.Path) -> str | None:
    """Return the configuration of a run; None if it left none.

    Args:
      folder: runs/<run id> of a work directory.
    """
    file = folder / CONFIG_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def read_samples(stages: "Mapping[str, Stage]") -> dict[str, Any] | None:
    """Return the training's samples, each reconstruction with its `file` and `line`.

    They are None where ingest did not say. The samples are None if the training was not reached.

    Args:
      stages: stages of the run that were started.
    """
    samples = stages["train"].read("model_run", SAMPLES_FILE) if "train" in stages else None
    if samples is None:
        return None
    drawn = samples["reconstructions"]
    place = pathlib.Path(stages["ingest"].outputs["account"], SOURCES_FILE)
    ids = [each[SEQUENCE_ID] for each in drawn]
    source_of = sources.read(place, ids) if place.is_file() else {}
    for each in drawn:
        path, line = source_of.get(each[SEQUENCE_ID], (None, None))
        each |= {"file": path and redacted(path), "line": line}
    return dict(samples)
