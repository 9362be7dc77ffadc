"""What `[keep]` keeps, and that nothing else than our own is removed, by exact path."""

import dataclasses
import io
import json
import pathlib
import subprocess

import commands
import memory_store
import pytest
from ml_metadata.proto import metadata_store_pb2

from ragline.components.contract.keep import KeepOptions
from ragline.components.files.storage import write_json, write_text
from ragline.components.ingest.options import InputOptions
from ragline.components.push.release import ledger
from ragline.pipeline.cache import clean, lineage, marker, recovery
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests
from ragline.pipeline.config import Config
from ragline.pipeline.runs import display, runner, workdir

STATES = metadata_store_pb2.Execution
EVENTS = metadata_store_pb2.Event


class Made:
    """A work directory as runs leave it: each has an `examples` of 1,000 bytes and its files."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir()
        marker.claim(folder, "n")
        self._store = lineage.connect(folder / "metadata.sqlite")
        types = metadata_store_pb2
        self._context = self._store.put_context_type(types.ContextType(name="pipeline_run"))
        self._kind = self._store.put_execution_type(types.ExecutionType(name="Ingest"))
        self._artifact = self._store.put_artifact_type(types.ArtifactType(name="Examples"))

    def run(
        self, run_id: str, *, takes: pathlib.Path | None = None, makes: str | None = None
    ) -> pathlib.Path:
        """A run that makes an artifact, here or in a store, or takes an earlier one; returns it."""
        types = metadata_store_pb2
        state = STATES.CACHED if takes else STATES.COMPLETE
        execution = types.Execution(type_id=self._kind, last_known_state=state)
        [number] = self._store.put_executions([execution])
        path = takes or self.folder / "artifacts" / "ingest" / "examples" / str(number)
        uri = makes or str(path)
        if takes:
            [artifact] = [a.id for a in self._store.get_artifacts() if a.uri == str(takes)]
        else:
            write_text(f"{uri}/Split-train/data.gz", "x" * 1000)
            ArtifactManifests(self.folder).record(uri)
            live = types.Artifact(type_id=self._artifact, uri=uri, state=types.Artifact.LIVE)
            [artifact] = self._store.put_artifacts([live])
        steps = EVENTS.Path(steps=[EVENTS.Path.Step(key="examples"), EVENTS.Path.Step(index=0)])
        event = EVENTS(artifact_id=artifact, execution_id=number, type=EVENTS.OUTPUT, path=steps)
        self._store.put_events([event])
        [context] = self._store.put_contexts([types.Context(type_id=self._context, name=run_id)])
        link = types.Association(context_id=context, execution_id=number)
        self._store.put_attributions_and_associations([], [link])
        runs = self.folder / "runs" / run_id
        write_json(runs / "summary.json", {"run_id": run_id})
        for name in ("report.html", "reconstruction_samples.json", "log.txt", "config.toml"):
            write_text(runs / name, "12345")
        write_text(self.folder / "quarantine" / run_id / "rejected.jsonl", "{}\n")
        return path

    def serve(self, run_id: str, version: int, fingerprint: str) -> None:
        serving = self.folder / "serving"
        write_text(serving / str(version) / "saved_model.pb", "model")
        entry = ledger.Entry(
            version=version, fingerprint=fingerprint, files={}, run_id=run_id, time="", reasons=(),
            source="",
        )  # fmt: skip
        ledger.save(serving, ledger.Ledger(versions=(*ledger.read(serving), entry)))

    def states(self) -> dict[str, bool]:
        """Artifact -> whether a cache would serve it."""
        live = metadata_store_pb2.Artifact.LIVE
        return {a.uri: a.state == live for a in self._store.get_artifacts()}

    def files(self) -> dict[pathlib.Path, bytes]:
        return {
            path.relative_to(self.folder): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in (".lock", "metadata.sqlite")
        }

    def config(self, **keep: int) -> Config:
        return Config(
            name="n",
            schema="gestures",
            workdir=str(self.folder),
            input=InputOptions(train="x"),
            keep=KeepOptions(**keep),
        )


def _id(day: int) -> str:
    return f"202611{day:02}-010203-ab{day:02}"


@pytest.fixture
def made(tmp_path) -> Made:
    return Made(tmp_path / "work")


def test_a_month_of_nights_is_kept_by_default(made):
    for day in range(1, 31):
        made.run(_id(day))
    before = made.files()
    assert clean.clean(made.config(), dry=False).items == ()
    assert made.files() == before


def test_what_is_removed_is_what_was_listed(made):
    paths = [made.run(_id(day)) for day in (1, 2, 3)]
    config = made.config(artifacts=1, reports=2, logs=1, quarantine=0)
    before = made.files()
    listed = clean.clean(config, dry=True)
    assert made.files() == before
    assert all(made.states().values())
    removed = clean.clean(config, dry=False)
    assert removed == listed
    assert removed.left == ()
    runs, rejected = made.folder / "runs", made.folder / "quarantine"
    expected = {
        paths[0]: 1000,
        paths[1]: 1000,
        runs / _id(1) / "report.html": 5,
        runs / _id(1) / "reconstruction_samples.json": 5,
        **{runs / _id(day) / "log.txt": 5 for day in (1, 2)},
        **{rejected / _id(day) / "rejected.jsonl": 3 for day in (1, 2, 3)},
    }
    assert {pathlib.Path(item.path): item.bytes for item in removed.items} == expected
    gone = {path.relative_to(made.folder) for path in expected}
    seals = {pathlib.Path("seals/ingest/examples") / f"{path.name}.json" for path in paths[:2]}
    left = {
        path: content
        for path, content in before.items()
        if path not in gone | seals and not gone & set(path.parents)
    }
    assert made.files() == left
    assert list(rejected.iterdir()) == []
    assert made.states() == {str(paths[0]): False, str(paths[1]): False, str(paths[2]): True}
    assert clean.clean(config, dry=False).items == ()


def test_what_is_cached_or_served_is_kept(made):
    """Of old runs: one's artifact the newest takes, two others made the model that is served."""
    taken = made.run(_id(1))
    original, unused, again = made.run(_id(2)), made.run(_id(3)), made.run(_id(4))
    newest = made.run(_id(5), takes=taken)
    made.serve(_id(2), 1, "a" * 64)
    made.serve(_id(4), 2, "b" * 64)
    made.serve("rollback", 3, "a" * 64)
    first, *others = ledger.read(made.folder / "serving")
    removed_first = dataclasses.replace(first, removed="newer ones came")
    ledger.save(made.folder / "serving", ledger.Ledger(versions=(removed_first, *others)))
    served = {path: data for path, data in made.files().items() if path.parts[0] == "serving"}
    removed = clean.clean(made.config(artifacts=1), dry=False)
    assert [item.path for item in removed.items] == [str(unused)]
    for path in (taken, original, again, newest):
        assert ArtifactManifests(made.folder).damage(path) is None
    now = made.files()
    assert {path: now[path] for path in served} == served


def test_records_in_a_store_are_removed_with_their_run(made):
    memory_store.clear()
    gone, kept = (f"mem://bucket/ingest/examples/{_id(day)}" for day in (1, 2))
    for day, uri in enumerate((gone, kept), start=1):
        made.run(_id(day), makes=uri)
    dry = clean.clean(made.config(artifacts=1), dry=True)
    assert [(item.path, item.bytes) for item in dry.items] == [(gone, 1000)]
    assert len(memory_store.OBJECTS) == 2
    assert clean.clean(made.config(artifacts=1), dry=False) == dry
    assert set(memory_store.OBJECTS) == {f"{kept}/Split-train/data.gz"}
    assert made.states() == {gone: False, kept: True}
    recovery.recover(made.folder, ".temporaries-0")
    assert ArtifactManifests(made.folder).damage(kept) is None


@pytest.mark.parametrize("kind", ["added", "changed", "unsealed", "a link"])
def test_an_artifact_that_is_not_what_its_stage_wrote_is_left_and_told(made, tmp_path, kind):
    path = made.run(_id(1))
    made.run(_id(2))
    file = path / "Split-train" / "data.gz"
    match kind:
        case "added":
            write_text(path / "thesis.txt", "mine")
        case "changed":
            file.write_text("mine")
        case "unsealed":
            (made.folder / "seals" / "ingest" / "examples" / f"{path.name}.json").unlink()
        case "a link":
            (tmp_path / "elsewhere").write_text("mine")
            file.unlink()
            file.symlink_to(tmp_path / "elsewhere")
    before = made.files()
    cleaned = clean.clean(made.config(artifacts=1), dry=False)
    assert cleaned.items == ()
    assert len(cleaned.left) == 1
    assert str(path) in cleaned.left[0]
    assert made.files() == before
    assert all(made.states().values())


def _end_of_run(made: Made, run_id: str, **keep: int) -> str:
    """What a run says that cleans up at its end."""
    said = io.StringIO()
    session = workdir.Session(
        workdir=made.folder, journal="", run_id=run_id, folder=made.folder / "runs" / run_id,
        display=display.for_stream(said, plain=True),
    )  # fmt: skip
    runner._clean(made.config(**keep), session)
    return said.getvalue()


def test_a_run_removes_the_same_at_its_end_but_nothing_of_its_own(made):
    paths = [made.run(_id(day)) for day in (1, 2)]
    served = made.run(_id(3))
    made.serve(_id(3), 1, "a" * 64)
    newest = made.run(_id(4), takes=paths[1])
    before = made.files()
    said = _end_of_run(made, _id(4), artifacts=1, reports=0, logs=0, quarantine=0)
    assert said.count("\n") == 1
    size = 1000 + 3 * (5 + 5 + 5 + 3)
    assert f"what [keep] does not keep: 13 files and folders, {size:,} bytes" in said
    gone = {path for path in before if path not in made.files()}
    assert not any(_id(4) in str(path) for path in gone)
    assert not paths[0].exists()
    for path in (paths[1], served, newest):
        assert ArtifactManifests(made.folder).damage(path) is None
    assert _end_of_run(made, _id(4), artifacts=1, reports=0, logs=0, quarantine=0) == ""


def test_a_run_that_cannot_clean_up_says_so_and_is_no_failure(made):
    made.run(_id(1))
    made.run(_id(2))
    (made.folder / "ledger.json").write_text("{}")
    before = made.files()
    said = _end_of_run(made, _id(2), artifacts=1, logs=1)
    assert "what [keep] does not keep of earlier runs stays: " in said
    assert "ledger.json" in said
    assert made.files() == before


def test_files_that_look_like_ours_are_left(made):
    """A folder of no run, a run that was cut off, a link in a file's place."""
    made.run(_id(1))
    made.run(_id(2))
    foreign = {
        "runs/20261101-010203-aa00/report.html",
        "runs/notes/report.html",
        "quarantine/notes/rejected.jsonl",
        f"quarantine/{_id(1)}/notes.txt",
        f"runs/{_id(1)}/notes.txt",
        "artifacts/ingest/examples/99/data.gz",
    }
    for name in foreign:
        write_text(made.folder / name, "mine")
    write_json(made.folder / "runs/notes/summary.json", {"run_id": "another"})
    log = made.folder / "runs" / _id(1) / "log.txt"
    log.unlink()
    log.symlink_to(made.folder / "runs/notes/report.html")
    clean.clean(made.config(artifacts=1, reports=0, logs=0, quarantine=0), dry=False)
    left = {str(path) for path in made.files()}
    assert foreign <= left
    assert log.is_symlink()
    assert f"runs/{_id(1)}/report.html" not in left


def test_the_command_lists_paths_and_bytes_and_is_turned_away_by_a_run(made, tmp_path):
    path = made.run(_id(1))
    made.run(_id(2))
    file = tmp_path / "c.toml"
    file.write_text(
        f'name="n"\nschema="gestures"\nworkdir="{made.folder}"\ninput.train="x"\nkeep.artifacts=1\n'
    )

    def ragline(*options: str) -> subprocess.CompletedProcess[str]:
        return commands.ragline("clean", file, *options)

    with workdir.lock(made.folder):
        assert ragline("--dry-run").returncode == 75
    done = ragline("--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"          1,000  {path}\n          1,000  bytes in all\n"
    done = ragline("--json")
    assert json.loads(done.stdout) == {
        "bytes": 1000, "items": [{"path": str(path), "bytes": 1000}], "left": [],
    }  # fmt: skip
    assert not path.exists()


def test_less_than_the_newest_run_is_refused():
    with pytest.raises(ValueError, match="artifacts: expected at least 1, received 0\nlogs: ex"):
        KeepOptions(artifacts=0, logs=-1)
    with pytest.raises(ValueError, match="max_gap: expected at least 0, received -1"):
        InputOptions(train="x", max_gap=-1)
