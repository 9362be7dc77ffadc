"""One run that nothing disturbs, for all tests that disturb one."""

import pathlib
import shutil
from dataclasses import dataclass, field

import numpy as np
import pytest
from faults import runs

from ragline.pipeline.cache import lineage

_JUDGING = ("baselines", "evaluate", "verdict")
_STAGES_WITH_COPIES = ("push", "baselines", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """What a run left that nothing disturbed, and its work directory at earlier moments.

    Attributes:
      workdir: of it; the tests use the same, since paths stand in ML Metadata.
      before: stage -> a copy of the work directory as it was before the stage.
      seconds: stage -> how long it took.
      raw: digests of ingest's shards.
      transformed: its records, sorted.
      embeddings: of the pushed encoder.
    """

    workdir: pathlib.Path
    before: dict[str, pathlib.Path] = field(default_factory=dict)
    seconds: dict[str, float]
    raw: set[str]
    transformed: list[bytes]
    embeddings: np.ndarray

    def restore(self, stage: str) -> pathlib.Path:
        """The work directory as it was before a stage, or, of an early one, before the run."""
        for path in self.workdir.iterdir():  # The folder itself may be a mount.
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if earlier := self.before.get("baselines" if stage in _JUDGING else stage):
            shutil.copytree(earlier, self.workdir, dirs_exist_ok=True)
        return self.workdir


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    workdir = folder / "work"
    done = runs.finish(workdir)
    assert done.returncode == 0, done.stderr
    [run] = (workdir / "runs").iterdir()
    stages = lineage.stages(workdir / "metadata.sqlite", "gestures", run.name)
    whole_run = Undisturbed(
        workdir=workdir,
        seconds={name: stage.seconds for name, stage in stages.items()},
        raw=runs.raw_data(workdir),
        transformed=runs.transformed_data(workdir),
        embeddings=runs.embeddings(workdir),
    )
    whole_run.before["end"] = folder / "end"
    shutil.copytree(workdir, whole_run.before["end"])
    shutil.rmtree(workdir / "serving")
    (workdir / "ledger.json").unlink()  # It counts versions, also those that are gone.
    for stage in _STAGES_WITH_COPIES:
        _forget(workdir, stages, stage)
        whole_run.before[stage] = folder / f"before-{stage}"
        shutil.copytree(workdir, whole_run.before[stage])
    return whole_run


def _forget(workdir: pathlib.Path, stages: dict[str, lineage.Stage], first: str) -> None:
    """Makes a stage and those after it as if they had not run."""
    names = list(stages)
    uris = {uri for name in names[names.index(first) :] for uri in stages[name].outputs.values()}
    store = lineage.connect(workdir / "metadata.sqlite")
    lineage.delete(
        store, [artifact.id for artifact in store.get_artifacts() if artifact.uri in uris]
    )
    for uri in uris:
        shutil.rmtree(uri, ignore_errors=True)
    if first == "train":
        shutil.rmtree(workdir / "checkpoints")
