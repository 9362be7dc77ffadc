"""The cache is true: what decides a stage's result is in its key, and nothing else is.

A key is compared by what TFX hashes of a stage, its inputs aside; what depends on a stage whose key
changed has another input, and so another key, by TFX's own doing. Real runs at the end.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from commands import ROOT
from conftest import write_jsonl
from faults import runs
from tfx.proto.orchestration import pipeline_pb2

from ragline.pipeline import config as config_module
from ragline.pipeline.cache import cache_key, gather_facts
from ragline.pipeline.demo import synth
from ragline.pipeline.runs import runner, tfx_run

# Of TFX's compiler, by protobuf's C code, which blames whoever called it.
pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")

STAGES = {
    "schema", "ingest", "statistics", "anomalies", "gate", "transform", "train", "evaluate",
    "baselines", "verdict", "push",
}  # fmt: skip
_RUN = "run"  # The key of all that is wired.
# All others are TFX's own code alone.
OURS = STAGES - {"schema", "statistics", "anomalies"}


@dataclasses.dataclass
class Tree:
    """A copy of our source, a data set and a configuration, all of which may be edited."""

    top: pathlib.Path
    as_made: dict[str, str] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def edited(self, place: str) -> Iterator[None]:
        """One byte more at the end of a file, for a while; in ours, a line break is enough."""
        path = self.top / place
        before, stat = path.read_bytes(), path.stat()
        path.write_bytes(before + b"\n")
        try:
            yield
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def changed(self, *options: str) -> set[str]:
        """The stages whose keys are not those of the tree as it was made."""
        after = self.keys("work", *options)
        changed = {stage for stage in STAGES if self.as_made[stage] != after[stage]}
        # Or a run would be repeated of which something has changed.
        assert not changed or self.as_made[_RUN] != after[_RUN]
        return changed

    def keys(self, work: str, *options: str) -> dict[str, str]:
        """Stage -> what TFX's cache hashes of it, and of what stands upstream of it, not yet."""
        cache_key.source.cache_clear()
        cache_key.versions.cache_clear()
        config = config_module.load(
            ROOT / "examples" / "gestures.toml",
            (
                f"input.train={self.top}/data/*.jsonl",
                f"schema={self.top}/schemas/gestures.pbtxt",
                *options,
            ),
            str(self.top / work),
        )
        contract = config_module.read_contract(config)
        facts = gather_facts.gather(config, contract, self.top / work, "", "")
        compiled = tfx_run.compile_pipeline(
            runner.pipeline_of(config, contract, self.top / work),
            "run",
            cache_key.versions(),
        )
        deployment = pipeline_pb2.IntermediateDeploymentConfig()
        compiled.deployment_config.Unpack(deployment)
        return {_RUN: facts.key(config, cache_key.versions())} | {
            node.pipeline_node.node_info.id: "\n".join(
                map(
                    str,
                    [
                        node.pipeline_node.node_info,
                        sorted(
                            (name, str(value))
                            for name, value in node.pipeline_node.parameters.parameters.items()
                        ),
                        deployment.executor_specs[node.pipeline_node.node_info.id],
                    ],
                )
            )
            for node in compiled.nodes
        }


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Iterator[Tree]:
    top = tmp_path_factory.mktemp("tree")
    for package in ("components", "pipeline", "schemas"):
        shutil.copytree(ROOT / package, top / package)
    (top / "README.md").touch()
    for name in ("a", "b"):
        write_jsonl(top / "data" / f"{name}.jsonl", list(synth.gestures(sequences=2, seed=3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_key, "_PACKAGE", top)
        made = Tree(top=top)
        made.as_made = made.keys("work")
        yield made
    cache_key.source.cache_clear()
    cache_key.versions.cache_clear()


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ("data/b.jsonl", {"ingest"}),
        ("schemas/gestures.pbtxt", {"schema"}),
        ("components/ingest/records/checks.py", OURS),
        ("components/push/contract/ops.txt", OURS),
        ("pipeline/dag.py", OURS),
        ("README.md", set()),
    ],
)
def test_a_byte_of_a_file_changes_the_keys_of_what_it_decides(tree, edited, expected):
    with tree.edited(edited):
        assert tree.changed() == expected


def test_what_is_not_changed_keeps_every_key(tree):
    assert tree.changed() == set()


def test_where_the_work_directory_stands_is_in_no_key(tree):
    assert tree.keys("here/work") == tree.keys("there")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("input.eval_share=0.3", {"ingest"}),
        ("train.epochs=3", {"train"}),
        ("train.seed=1", {"train"}),
        ("train.sample_steps=100", {"train"}),
    ],
)
def test_an_option_changes_the_keys_of_what_it_decides(tree, option, expected):
    assert tree.changed(option) == expected


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        *((name, STAGES) for name in ("numba", "scipy", "keras", "apache-beam", "protobuf")),
        ("tensorflow-data-validation", STAGES),
        ("ruff", set()),
    ],
)
def test_a_version_changes_the_keys_of_what_it_decides(tree, monkeypatch, package, expected):
    real = cache_key.importlib.metadata.version
    monkeypatch.setattr(
        cache_key.importlib.metadata,
        "version",
        lambda name: "0.0.1" if name == package else real(name),
    )
    assert tree.changed() == expected


def test_damaged_artifacts_are_made_anew_and_the_rest_is_cached(undisturbed):
    """The same content comes out of the same input: what depends on it stays as it is."""
    workdir = undisturbed.restore("end")
    stages = workdir / "artifacts"
    [shard] = (stages / "ingest").glob("examples/*/Split-train/*")
    shard.with_name("data_tfrecord-00007-of-00008.gz").write_bytes(shard.read_bytes())
    [account] = (stages / "ingest").glob("account/*/account.json")
    account.write_text(account.read_text().replace("1", "2", 1))
    [folder] = (stages / "gate").glob("report/*")
    shutil.rmtree(folder)

    again = runs.finish(workdir)

    assert again.returncode == 0, again.stderr
    # The last three, because there is a blessed model now with which to compare.
    rebuilt = {"ingest", "gate", "baselines", "verdict", "push"}
    assert runs.states(again.stderr) == {
        stage: "ran" if stage in rebuilt else "cached" for stage in STAGES
    }
    assert "00007-of-00008.gz: was not there when the stage had run" in again.stderr
    assert "gate.json: is gone" in again.stderr
    assert f"{account}: expected" in again.stderr


@pytest.mark.full
def test_a_model_that_is_damaged_is_exported_anew_from_its_checkpoint(undisturbed):
    workdir = undisturbed.restore("end")
    [file] = (workdir / "artifacts").glob("train/model/*/Format-Serving/saved_model.pb")
    file.write_bytes(file.read_bytes()[:1000])
    again = runs.finish(workdir)
    assert again.returncode == 0, again.stderr
    states = runs.states(again.stderr)
    assert states["transform"] == "cached"
    assert states["train"] == "ran"
    assert "resumed after epoch 3" in again.stderr
    assert runs.epochs(again.stderr) == []
