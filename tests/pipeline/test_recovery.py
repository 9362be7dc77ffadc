"""On a real database of ML Metadata, filled by hand with what a killed run leaves."""

import json
import logging
import pathlib
import shutil

import apache_beam as beam
import memory_store
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from ragline.components.files import staging
from ragline.components.files.storage import write_text
from ragline.components.ingest.beam import process
from ragline.components.push.release import release_version
from ragline.pipeline.cache import cache_guard, lineage, recovery
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests
from ragline.pipeline.cache.cache_guard import CacheGuard

STATES, JOURNAL = mlmd.Execution, ".temporaries-0"


class Run:
    """A run `r` of pipeline `p` in a work directory, made of executions with outputs."""

    def __init__(self, workdir) -> None:
        self.workdir = workdir
        self.store = lineage.connect(workdir / "metadata.sqlite")
        self.guard = CacheGuard(workdir / "metadata.sqlite", ArtifactManifests(workdir), "p", "r")
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

    def start(self, stage: str, *outputs: str) -> None:
        """An execution under way, as TFX and `tfx_run` register it."""
        context = self._context("node", f"key-{stage}")
        [known] = self.store.get_contexts_by_id([context])
        lineage.expect(self.store, known, outputs)
        self.execute(stage, STATES.RUNNING)
        execution = self.store.get_executions()[-1]
        index = execution.custom_properties["__stateful_working_dir_index__"]
        index.string_value = "uuid"
        self.store.put_executions([execution])
        link = mlmd.Association(context_id=context, execution_id=execution.id)
        self.store.put_attributions_and_associations([], [link])

    def finish(self, stage: str, content: str) -> int:
        artifact = self.execute(stage, STATES.COMPLETE, content)
        self.guard.finish(stage)
        return artifact

    def damaged(self, artifact: int) -> list[int]:
        return self.guard.damaged("stage", {str(self.file(artifact).parent): artifact})

    def file(self, artifact: int):
        [stored] = self.store.get_artifacts_by_id([artifact])
        return self.workdir.joinpath(stored.uri, "file")

    def is_live(self, artifact: int) -> bool:
        [stored] = self.store.get_artifacts_by_id([artifact])
        return stored.state == mlmd.Artifact.LIVE


@pytest.fixture
def run(tmp_path) -> Run:
    memory_store.clear()
    return Run(tmp_path)


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What ragline itself says: other tests may have let ML Metadata speak, too."""
    return [one.getMessage() for one in caplog.records if one.name.startswith("ragline")]


def _write(*paths: pathlib.Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_what_a_killed_run_left_is_removed_and_the_rest_is_kept(run, tmp_path, caplog):
    kept = run.finish("ingest", "kept")
    run.start("train", "model")
    temporary = f"runs/r/.ragline-{'0' * 32}.tmp"
    left = [
        tmp_path / "artifacts/train/model/2/Format-Serving/variables.index",
        tmp_path / "artifacts/train/.system/executor_execution/2/.temp/x",
        tmp_path / "artifacts/train/.system/stateful_working_dir/uuid/x",
        tmp_path / temporary,
    ]
    _write(*left)
    (tmp_path / JOURNAL).write_text(f"runs/r/.ragline-{'f' * 32}.tmp\n{temporary}\n")
    with caplog.at_level(logging.INFO, logger="ragline"):
        recovery.recover(tmp_path, JOURNAL)
    assert not [path for path in left if path.exists()]
    assert not (tmp_path / "artifacts/train/.system").exists()
    assert run.file(kept).read_text() == "kept"
    assert not run.damaged(kept)
    states = [execution.last_known_state for execution in run.store.get_executions()]
    assert states == [STATES.COMPLETE, STATES.CANCELED]
    first, second = _told(caplog)
    assert "a run was interrupted" in first
    for name in ("artifacts/train/model/2", temporary):
        assert name in second
    assert not (tmp_path / JOURNAL).read_text()


def test_what_is_not_ours_stays_whatever_it_is_called(run, tmp_path):
    """Beside what a killed run left, and beside what is in order."""
    run.finish("ingest", "kept")
    run.start("train", "model")
    foreign = [
        tmp_path / place
        for place in (
            ".thesis.tmp", "notes.txt", "metadata.sqlite.bak", ".summary.json.77.tmp",
            f".ragline-{'0' * 32}.tmp", "temporaries.txt", ".temporaries-1",
            "artifacts/models/prod/v1/weights.h5", "artifacts/train/model/3/x",
            "artifacts/train/other/2/x", "artifacts/ingest/output/99/x", "artifacts/x/y/z",
            "artifacts/train/.system/executor_execution/77/x", "artifacts/mine/.system/x",
            "artifacts/train/.system/stateful_working_dir/mine/x",
            "seals/ingest/output/99.json", "seals/mine.json", "seals/a/b/c.json",
            "checkpoints/mine/epoch-000001.npz", "checkpoints/f/.epoch-000001.tmp",
            "runs/r/log.txt", "runs/mine/.x.tmp", "serving/.staged-77/x", "serving/.removed-1/x",
            "quarantine/mine/x", "trials/mine.json", "schemas/mine/x", "set-aside/mine/x",
        )
    ]  # fmt: skip
    _write(*foreign)
    (tmp_path / "artifacts/ingest/output/98").mkdir()
    (tmp_path / "artifacts/link").symlink_to(tmp_path / "elsewhere")
    lines = [".thesis.tmp", "../x.tmp", f"../.ragline-{'0' * 32}.tmp", "", "a/" * 5000, "\0"]
    (tmp_path / JOURNAL).write_text("\n".join(lines))
    outside = tmp_path.with_name(f".ragline-{'0' * 32}.tmp")
    outside.write_text("x")
    for _ in range(2):
        recovery.recover(tmp_path, JOURNAL)
        assert [path for path in (*foreign, outside) if path.read_text() != "x"] == []
        assert (tmp_path / "artifacts/ingest/output/98").is_dir()
        assert (tmp_path / "artifacts/link").is_symlink()
    outside.unlink()


def test_artifacts_of_a_database_that_is_lost_are_set_aside(run, tmp_path, caplog):
    """Those that have a seal; and the next execution gets a number that nothing stands under."""
    run.finish("ingest", "kept")
    _write(tmp_path / "artifacts/ingest/output/2/cut-off", tmp_path / "seals/ingest/output/3.json")
    (tmp_path / "metadata.sqlite").unlink()
    with caplog.at_level(logging.INFO, logger="ragline"):
        recovery.recover(tmp_path, JOURNAL)
    [aside] = (tmp_path / "set-aside").glob("*/artifacts/ingest/output/1/file")
    assert aside.read_text() == "kept"
    assert "no known run made it; moved to set-aside/" in _told(caplog)[0]
    assert not (tmp_path / "seals/ingest/output/1.json").exists()
    anew = Run(tmp_path)
    _write(tmp_path / "artifacts/ingest/output/1/mine")
    anew.guard.make_way("ingest", ["output"])
    fresh = anew.finish("ingest", "fresh")
    assert anew.file(fresh).parent.name == "4"
    assert not anew.damaged(fresh)
    assert (tmp_path / "artifacts/ingest/output/1/mine").read_text() == "x"
    assert (tmp_path / "artifacts/ingest/output/2/cut-off").read_text() == "x"
    anew.guard.make_way("ingest", ["output"])
    assert anew.file(anew.finish("ingest", "again")).parent.name == "5"


def test_artifacts_that_a_restored_database_does_not_know_are_set_aside(run, tmp_path):
    first = run.finish("ingest", "first")
    backup = (tmp_path / "metadata.sqlite").read_bytes()
    second = run.finish("ingest", "second")
    (tmp_path / "metadata.sqlite").write_bytes(backup)
    recovery.recover(tmp_path, JOURNAL)
    assert (tmp_path / "artifacts/ingest/output/1/file").read_text() == "first"
    [aside] = (tmp_path / "set-aside").glob("*/artifacts/ingest/output/*/file")
    assert (aside.read_text(), aside.parent.name) == ("second", str(second))
    assert first != second


def test_a_work_directory_in_order_is_left_as_it_is_without_a_word(run, tmp_path, caplog):
    run.finish("ingest", "kept")
    with caplog.at_level(logging.INFO, logger="ragline"):
        recovery.recover(tmp_path, JOURNAL)
    assert not _told(caplog)


@pytest.mark.parametrize("database", ["kept", "lost"])
def test_what_a_killed_stage_put_into_a_store_is_removed_and_nothing_else(
    run, tmp_path, caplog, database
):
    left, ended, somebodys = (f"mem://bucket/{name}/examples/r" for name in ("a", "b", "c"))
    (tmp_path / "seals" / "a" / "b").mkdir(parents=True)
    (tmp_path / "seals" / "a" / "b" / "c.begun").write_text(somebodys)
    shard = f"Split-train/{process.shard_name(0)}"
    for uri in (left, ended, somebodys):
        write_text(f"{uri}/{shard}", "x")
    for uri in (ended, left):
        run.guard.make_way("ingest", ["examples"], [uri])
        if uri == ended:
            run.guard.finish("ingest")
    if database == "lost":
        (tmp_path / "metadata.sqlite").unlink()
    with caplog.at_level(logging.INFO, logger="ragline"):
        for _ in range(2):
            recovery.recover(tmp_path, JOURNAL)
    assert set(memory_store.OBJECTS) == {f"{uri}/{shard}" for uri in (ended, somebodys)}
    assert _told(caplog) == [f"removed what an interrupted run left: {left}"]


def test_what_somebody_put_beside_it_stays_whatever_ingest_and_transform_had_written(
    run, tmp_path, caplog
):
    """With the names that Beam gives: unfinished shards, then finished ones."""
    uri = "beam://bucket/records/transform/transformed_examples/r"
    run.guard.make_way("transform", ["transformed_examples"], [uri])
    with beam.Pipeline("ragline.components.runtime.local_runner.LocalRunner") as pipeline:
        records = pipeline | beam.Create([b"a", b"b"])
        prefix = f"{uri}/Split-eval/transformed_examples"
        records | beam.io.WriteToTFRecord(prefix, file_name_suffix=".gz", num_shards=2)
    written = {*memory_store.WRITTEN, f"{uri}/Split-train/{process.shard_name(123456)}"}
    assert len(written) == 5
    somebodys = [
        f"{uri}/Split-eval/beam-temp-mine/a.transformed_examples.gz",
        f"{uri}/Split-eval/transformed_examples-00000-of-00002.gz.bak",
        f"{uri}/Split-train/examples-00000.csv",
        f"{uri}/Split-train/old/{process.shard_name(0)}",
        f"{uri}/{process.shard_name(0)}",
    ]
    memory_store.OBJECTS |= dict.fromkeys([*written, *somebodys], b"x")
    with caplog.at_level(logging.INFO, logger="ragline"):
        recovery.recover(tmp_path, JOURNAL)
    assert sorted(memory_store.OBJECTS) == somebodys
    assert _told(caplog) == [
        f"{uri}: 5 objects stay there that no stage wrote, such as {somebodys[0]}",
        f"removed what an interrupted run left: {uri}",
    ]


STAGED = {
    "ingest": [
        *(path("", 7) for path in (process.report_file, process.rows_file)),
        *(path("", 123456) for path in (process.quarantine_file, process.source_file)),
    ],
    "statistics": [
        "/Split-eval/FeatureStats.pb",
        f"/Split-train/beam-temp-FeatureStats.pb-{'0' * 32}/1-2.FeatureStats.pb",
    ],
    "transform": ["/graph.zip"],
    "evaluate": [
        "/encoder.zip",
        "/metrics/eval_config.json",
        "/metrics/metrics-00000-of-00001.tfrecord",
        "/metrics/validations.tfrecord",
        f"/metrics/beam-temp-plots-{'a' * 32}/1-2.plots.tfrecord",
    ],
}


@pytest.mark.parametrize("stage", STAGED)
def test_what_a_killed_stage_had_staged_is_removed_and_nothing_else(run, tmp_path, stage):
    """Which names the stages give is seen in end_to_end/test_records_in_store.py."""
    uri = staging.in_store("mem://bucket/records/", stage, "r")
    somebodys = [f"{uri}{STAGED[stage][0]}.bak", f"{uri}/metrics/old/eval_config.json"]
    for name in [*(f"{uri}{name}" for name in STAGED[stage]), *somebodys]:
        write_text(name, "x")
    run.guard.make_way(stage, ["output"], [uri])
    recovery.recover(tmp_path, JOURNAL)
    assert {*memory_store.OBJECTS} == {*somebodys}


def test_artifacts_are_where_the_work_directory_is_now(run, tmp_path, caplog):
    """Moved into a folder whose path looks like its own, and back: each artifact stays itself."""
    artifact = run.finish("ingest", "kept")
    [before] = run.store.get_artifacts_by_id([artifact])
    in_store = mlmd.Artifact(type_id=before.type_id, uri="mem://artifacts/ingest/output/r")
    [in_store.id] = run.store.put_artifacts([in_store])
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
                recovery.recover(there, JOURNAL)
        [message] = _told(caplog)
        assert message == f"the work directory has moved: 1 artifacts are now in {there}/artifacts"
        store = lineage.connect(there / "metadata.sqlite")
        [after] = store.get_artifacts_by_id([artifact])
        assert after.uri == f"{there}/artifacts/ingest/output/1"
        assert (there / "artifacts/ingest/output/1/file").read_text() == "kept"
        assert ArtifactManifests(there).damage(there / "artifacts/ingest/output/1") is None
        [stays] = store.get_artifacts_by_id([in_store.id])
        assert stays.uri == in_store.uri
        after.uri = before.uri
        assert after == before  # TFX's key holds all of it.


def test_an_output_whose_folder_is_gone_is_damaged(run, tmp_path):
    artifact = run.finish("ingest", "a")
    run.file(artifact).unlink()
    run.file(artifact).parent.rmdir()
    recovery.recover(tmp_path, JOURNAL)
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
    [aside] = (run.workdir / "set-aside").rglob("file")
    assert aside.read_text() == "damaged"
    stage = lineage.stages(run.workdir / "metadata.sqlite", "p", "r")["ingest"]
    assert stage.state == "ran"
    assert stage.outputs == {"output": str(run.file(used).parent)}
    assert not run.damaged(used)


def test_what_is_discarded_is_not_found_again(run):
    model = run.finish("train", "model")
    run.guard.discard([model])
    assert not run.is_live(model)
    assert not run.file(model).parent.exists()


def _push(workdir: pathlib.Path) -> pathlib.Path:
    """A version as a push makes it visible."""
    staged = workdir / "serving" / ".staged-1"
    _write(staged / "saved_model.pb")
    source = release_version.ModelSource(fingerprint="f", run_id="r", reasons=(), source="m")
    return release_version.release(staged, source).path


@pytest.mark.parametrize(
    "lose",
    [
        lambda workdir: shutil.rmtree(workdir / "serving/1"),
        lambda workdir: (workdir / "serving/1/saved_model.pb").write_text("y"),
        lambda workdir: (workdir / "ledger.json").unlink(),
        lambda workdir: (shutil.rmtree(workdir / "serving"), (workdir / "ledger.json").unlink()),
    ],
    ids=["version", "file", "ledger", "all"],
)
def test_a_push_is_not_taken_from_the_cache_if_what_it_pushed_is_not_served(run, tmp_path, lose):
    """The key of the very first push says that nothing is served, as it is when all is lost."""
    version = _push(tmp_path)
    report = run.execute("push", STATES.COMPLETE, "x")
    folder = run.file(report).parent
    stated = {"pushed": {"version": 1, "path": "serving/1"}, "refusals": [], "notes": []}
    (folder / "push.json").write_text(json.dumps(stated))
    run.guard.finish("push")
    assert run.damaged(report) == []
    assert cache_guard.unserved(folder, stated) is None
    lose(tmp_path)
    assert run.damaged(report) == [report]
    assert cache_guard.unserved(folder, stated) == (
        f"{version}: version 1, which was pushed, is not there as it was pushed"
    )
    assert cache_guard.unserved(folder, stated | {"pushed": None}) is None
