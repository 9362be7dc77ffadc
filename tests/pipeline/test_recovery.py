"""On a real database of ML Metadata, filled by hand with what a killed run leaves."""

import logging

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from ragline.pipeline.cache import lineage, recovery
from ragline.pipeline.cache.artifact_manifests import Seals
from ragline.pipeline.cache.cache_guard import Reuse

STATES = mlmd.Execution


class Run:
    """A run `r` of pipeline `p` in a work directory, made of executions with outputs."""

    def __init__(self, workdir) -> None:
        self.workdir = workdir
        self.store = lineage.connect(workdir / "metadata.sqlite")
        self.reuse = Reuse(workdir / "metadata.sqlite", Seals(workdir), "p", "r")
        self._types = {
            "execution": self.store.put_execution_type(mlmd.ExecutionType(name="stage")),
            "artifact": self.store.put_artifact_type(mlmd.ArtifactType(name="output")),
            "run": self.store.put_context_type(mlmd.ContextType(name="pipeline_run")),
            "node": self.store.put_context_type(mlmd.ContextType(name="node")),
        }
        self._run = self._context("run", "r")

    def _context(self, kind: str, name: str) -> int:
        known = self.store.get_context_by_type_and_name(
            {"run": "pipeline_run", "node": "node"}[kind], name
        )
        if known:
            return known.id
        [made] = self.store.put_contexts([mlmd.Context(type_id=self._types[kind], name=name)])
        return made

    def execute(self, stage, state, content=None, event=mlmd.Event.OUTPUT, artifact=None):
        """An execution; with content, an output of it; with an artifact, one made before."""
        [execution] = self.store.put_executions(
            [mlmd.Execution(type_id=self._types["execution"], last_known_state=state)]
        )
        contexts = [self._run, self._context("node", f"p.{stage}")]
        links = [mlmd.Association(context_id=c, execution_id=execution) for c in contexts]
        self.store.put_attributions_and_associations([], links)
        if content is not None:
            folder = self.workdir / "artifacts" / stage / "output" / str(execution)
            folder.mkdir(parents=True)
            (folder / "file").write_text(content)
            [artifact] = self.store.put_artifacts(
                [mlmd.Artifact(type_id=self._types["artifact"], uri=str(folder),
                               state=mlmd.Artifact.LIVE)]
            )  # fmt: skip
        if artifact is not None:
            path = mlmd.Event.Path(steps=[mlmd.Event.Path.Step(key="output")])
            self.store.put_events(
                [mlmd.Event(artifact_id=artifact, execution_id=execution, type=event, path=path)]
            )
        return artifact

    def finish(self, stage: str, content: str) -> int:
        artifact = self.execute(stage, STATES.COMPLETE, content)
        self.reuse.settle(stage)
        return artifact

    def damaged(self, artifact: int) -> list[int]:
        return self.reuse.damaged("stage", {str(self.file(artifact).parent): artifact})

    def file(self, artifact: int):
        [found] = self.store.get_artifacts_by_id([artifact])
        return self.workdir.joinpath(found.uri, "file")

    def is_live(self, artifact: int) -> bool:
        [found] = self.store.get_artifacts_by_id([artifact])
        return found.state == mlmd.Artifact.LIVE


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What ragline itself says: other tests may have let ML Metadata speak, too."""
    return [one.getMessage() for one in caplog.records if one.name.startswith("ragline")]


def test_what_a_killed_run_left_is_removed_and_the_rest_is_kept(run, tmp_path, caplog):
    kept = run.finish("ingest", "kept")
    run.execute("train", STATES.RUNNING)
    left = [
        tmp_path / "artifacts/train/model/2/Format-Serving/variables.index",
        tmp_path / "artifacts/train/.system/executor_execution/2/.temp/x",
        tmp_path / "artifacts/train/.system/stateful_working_dir/uuid/x",
        tmp_path / "serving/.staged-77/saved_model.pb",
        tmp_path / "checkpoints/f/.epoch-000001.tmp",
        tmp_path / "runs/r/.summary.json.77.tmp",
        tmp_path / "seals/train/model/2.json",
    ]
    stays = [tmp_path / "runs/r/log.txt", tmp_path / "serving/1/x", tmp_path / "serving/ledger"]
    for path in left + stays:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    with caplog.at_level(logging.INFO, logger="ragline"):
        recovery.recover(tmp_path)
    assert not [path for path in left if path.exists()]
    assert all(path.exists() for path in stays)
    assert run.file(kept).read_text() == "kept"
    assert not run.damaged(kept)
    states = [execution.last_known_state for execution in run.store.get_executions()]
    assert states == [STATES.COMPLETE, STATES.CANCELED]
    first, second = _told(caplog)
    assert "a run was interrupted" in first
    for name in ("artifacts/train/model/2", "serving/.staged-77", "runs/r/.summary.json.77.tmp"):
        assert name in second


def test_a_work_directory_in_order_is_left_as_it_is_without_a_word(run, tmp_path, caplog):
    run.finish("ingest", "kept")
    with caplog.at_level(logging.INFO, logger="ragline"):
        recovery.recover(tmp_path)
    assert not _told(caplog)


def test_artifacts_are_where_the_work_directory_is_now(run, tmp_path, caplog):
    """Moved into a folder whose path looks like its own, and back: each artifact stays itself."""
    artifact = run.finish("ingest", "kept")
    [before] = run.store.get_artifacts_by_id([artifact])
    first = tmp_path / "one"
    first.mkdir()
    for name in ("artifacts", "metadata.sqlite", "seals"):
        (tmp_path / name).rename(first / name)
    second = tmp_path / "artifacts" / "x" / "artifacts" / "work"
    second.parent.mkdir(parents=True)
    for here, there in ((first, second), (second, first)):
        here.rename(there)
        caplog.clear()
        for _ in range(2):  # As after a kill.
            with caplog.at_level(logging.INFO, logger="ragline"):
                recovery.recover(there)
        [told] = _told(caplog)
        assert told == f"the work directory has moved: 1 artifacts are now in {there}/artifacts"
        store = lineage.connect(there / "metadata.sqlite")
        [after] = store.get_artifacts_by_id([artifact])
        assert after.uri == f"{there}/artifacts/ingest/output/1"
        assert (there / "artifacts/ingest/output/1/file").read_text() == "kept"
        assert Seals(there).damage(there / "artifacts/ingest/output/1") is None
        after.uri = before.uri
        assert after == before  # TFX's key holds all of it.


def test_an_output_whose_folder_is_gone_is_damaged(run, tmp_path):
    artifact = run.finish("ingest", "a")
    run.file(artifact).unlink()
    run.file(artifact).parent.rmdir()
    recovery.recover(tmp_path)
    assert run.damaged(artifact) == [artifact]


@pytest.mark.parametrize("again", ["a", "b"])
def test_a_damaged_output_is_replaced_in_its_place_only_by_its_own_content(run, again):
    former = run.finish("ingest", "a")
    assert not run.damaged(former)
    run.file(former).write_text("damaged")
    assert run.damaged(former) == [former]
    fresh = run.finish("ingest", again)
    used, gone = (former, fresh) if again == "a" else (fresh, former)
    assert (run.is_live(used), run.is_live(gone)) == (True, False)
    assert run.file(used).read_text() == again
    assert not run.file(gone).parent.exists()
    stage = lineage.stages(run.workdir / "metadata.sqlite", "p", "r")["ingest"]
    assert stage.state == "ran"
    assert stage.outputs == {"output": str(run.file(used).parent)}
    assert not run.damaged(used)


def test_what_is_discarded_is_not_found_again(run):
    model = run.finish("train", "model")
    run.reuse.discard([model])
    assert not run.is_live(model)
    assert not run.file(model).parent.exists()
