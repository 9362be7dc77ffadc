"""Say where a stage keeps what is not yet its output, so that workers share nothing but the store.

Without `records` it is a folder in the work directory, which workers must see. With it, it is in
the store: `RECORDS/<stage>/staging/<run id>`.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ragline.components.files import places

# The parameter of a stage that has the value of the key `records`.
RECORDS = "records"


def of(stage: str, parameters: Mapping[str, Any], context: Any, temporary: str) -> str:
    """Return the staging folder of a stage.

    Args:
      stage: the name of the stage.
      parameters: the stage's parameters.
      context: TFX's context of the executor, with the run's id.
      temporary: TFX's temporary folder of the execution.
    """
    if records := parameters.get(RECORDS):
        return in_store(records, stage, context.pipeline_run_id)
    return os.path.join(temporary, "staging")


def in_store(records: str, stage: str, run_id: str) -> str:
    """Return the staging folder of a stage in a store."""
    return f"{records.rstrip('/')}/{stage}/staging/{run_id}"


@contextlib.contextmanager
def written(folder: str, staged: str) -> Iterator[str]:
    """Yield where workers write the files of a folder: itself, or a place in a store.

    From a store they are fetched into the folder, and removed there.
    """
    if places.is_local(staged):
        yield folder
        return
    yield staged
    places.remove_objects(places.fetch(staged, folder))
