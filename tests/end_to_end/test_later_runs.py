"""Runs in the work directory of one that is finished, in this order; after all that looks at it."""

import json
import pathlib
import shutil

import pytest
import tensorflow_transform as tft
from commands import python, ragline, run_pipeline
from end_to_end import looks
from ml_metadata.proto import metadata_store_pb2
from push import clean_exports
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from ragline import schemas
from ragline.components.contract import exits
from ragline.components.contract.artifacts import IngestAccount, PushReport, VerdictReport
from ragline.components.contract.file_names import PUSH_FILE, VERDICT_FILE
from ragline.components.files.storage import read_json, sha256, write_json
from ragline.components.push import executor
from ragline.components.push.release import ledger
from ragline.pipeline.cache import lineage
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests
from ragline.pipeline.report import summary

# Epoch 0 is a model drawn at random, and the one epoch after it makes it worse. It is of another
# size, which needs a reason.
FEWER = "fewer numbers are enough"
IGNORANT = (
    *("--set", "train.linear_steps=0"),
    *("--set", "train.learning_rate=50.0"),
    *("--set", "train.epochs=1"),
    *("--set", "train.embedding_size=7", "--new-signature", FEWER),
)


# Each takes seconds to be imported.
HEAVY = {"apache_beam", "keras", "tensorflow", "tensorflow_transform", "tfx"}
AND_IMPORTS = f"""
import sys
from ragline.pipeline.cli.main import main
code = main(sys.argv[1:])
print(sorted({HEAVY} & sys.modules.keys()), file=sys.stderr)
sys.exit(code)
"""


def test_a_run_of_which_nothing_has_changed_is_repeated_without_tfx(gestures_run):
    """Each stage comes from the cache, the push too, and what it pushed is what is served."""
    words = (*gestures_run.arguments, "--workdir", gestures_run.workdir, "--json")
    done = python("-P", "-c", AND_IMPORTS, "run", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    before, again = gestures_run.summary, json.loads(done.stdout)
    assert [*again["stages"]] == looks.STAGES
    for name, stage in again["stages"].items():
        assert stage["state"] == "cached"
        assert stage["outputs"] == before["stages"][name]["outputs"]
    differ = {key for key in again if again[key] != before[key]}
    assert differ == {"run_id", "stages"}
    assert [path.name for path in gestures_run.serving] == ["1"]
    store = lineage.connect(gestures_run.workdir / "metadata.sqlite")
    runs = [lineage.executions(store, "gestures", summary["run_id"]) for summary in (before, again)]
    for stage in looks.STAGES:
        taken, contexts = zip(*(_recorded(store, run[stage]) for run in runs), strict=True)
        assert taken[0] == taken[1]
        assert contexts[0] == contexts[1]
        assert runs[1][stage].last_known_state == metadata_store_pb2.Execution.CACHED
        assert runs[1][stage].custom_properties == runs[0][stage].custom_properties


def _recorded(store, execution) -> tuple[list, list]:
    """What an execution took and made, and its contexts; its run's context by its type alone."""
    events = store.get_events_by_execution_ids([execution.id])
    contexts = store.get_contexts_by_execution(execution.id)
    return (
        sorted((event.artifact_id, event.type, str(event.path)) for event in events),
        sorted(
            context.type if context.type == "pipeline_run" else context.name for context in contexts
        ),
    )


@pytest.mark.full
def test_a_run_of_another_option_takes_what_it_does_not_touch_from_the_cache(gestures_run):
    """An option of the push has changed; data and model are as they were.

    The model is judged anew, since there is a blessed one now, which is itself.
    """
    other = ("--set", "push.keep=4")
    second = run_pipeline(gestures_run.workdir, *gestures_run.arguments, *other)
    sentence = "version 1 is the newest and holds this very model: not pushed again"
    assert second.exit_code == 0
    ran = ("baselines", "verdict", "push")
    assert {
        name: stage["state"] for name, stage in second.summary["stages"].items()
    } == dict.fromkeys(looks.STAGES, "cached") | dict.fromkeys(ran, "ran")
    assert second.summary["baseline_model"]["state"] == "same"
    assert [path.name for path in second.serving] == ["1"]
    assert second.summary["pushed"] == gestures_run.summary["pushed"]
    assert second.summary["metrics"] == gestures_run.summary["metrics"]
    assert second.summary["verdict"]["reasons"][-1] == sentence


def test_a_copy_in_another_place_is_all_cached_and_keeps_what_it_holds(gestures_run, tmp_path):
    """The original is out of reach, and the copy is named by a link."""
    original, hidden = gestures_run.workdir, gestures_run.workdir.with_name("hidden")
    shutil.copytree(original, tmp_path / "copy", symlinks=True)
    (tmp_path / "link").symlink_to("copy")
    before = _contents(tmp_path / "copy")
    original.rename(hidden)
    try:
        run = run_pipeline(tmp_path / "link", *gestures_run.arguments)
    finally:
        hidden.rename(original)
    assert run.exit_code == 0
    assert {stage["state"] for stage in run.summary["stages"].values()} == {"cached"}
    assert run.summary["pushed"] == {"version": 1, "path": str(tmp_path / "copy/serving/1")}
    assert "the work directory has moved" in run.stderr
    after = _contents(tmp_path / "copy")
    assert {path for path in before if before[path] != after.get(path)} <= {"metadata.sqlite"}
    added = {path for path in after if path not in before}
    assert {path.split("/")[0] for path in added} == {"runs"}


def _contents(folder: pathlib.Path) -> dict[str, str]:
    """File, by its path below a folder -> its digest."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_run_removes_what_keep_does_not_keep_and_says_so(gestures_run):
    """And leaves what it made, what it took and what is served: by hand, there is nothing more."""
    keep = ("--set", "keep.artifacts=1", "--set", "keep.logs=1")
    newest = run_pipeline(gestures_run.workdir, *gestures_run.arguments, *keep)
    assert newest.exit_code == 0
    [sentence] = [line for line in newest.stderr.splitlines() if "removed of earlier runs" in line]
    assert "what [keep] does not keep: " in sentence
    logs = sorted((gestures_run.workdir / "runs").glob("*/log.txt"))
    assert [log.parent.name for log in logs] == [newest.summary["run_id"]]
    manifests = ArtifactManifests(gestures_run.workdir)
    for stage in newest.summary["stages"].values():
        for uri in stage["outputs"].values():
            assert manifests.damage(pathlib.Path(uri)) is None
    workdir = ("--workdir", str(gestures_run.workdir))
    done = ragline("clean", *gestures_run.arguments, "--json", *keep, *workdir)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"bytes": 0, "items": [], "left": []}
    assert [path.name for path in gestures_run.serving] == ["1"]


def test_a_candidate_that_knows_nothing_is_not_blessed(gestures_run):
    """What the changed option does not touch is cached, and what is served is left alone."""
    run = run_pipeline(gestures_run.workdir, *gestures_run.arguments, *IGNORANT, anew=True)
    assert run.exit_code == 4
    assert run.summary["status"] == "not_blessed"
    assert run.summary["verdict"]["blessed"] is False
    reasons = run.summary["verdict"]["reasons"]
    [objective] = [reason for reason in reasons if "is not below 1, that of the trivial" in reason]
    assert any("is above the newest blessed model's" in reason for reason in reasons)
    assert objective in run.stderr
    assert run.summary["pushed"] is None
    states = {name: stage["state"] for name, stage in run.summary["stages"].items()}
    assert states["transform"] == "cached"
    assert states["train"] == "ran"
    assert [path.name for path in run.serving] == ["1"]


def test_the_textbook_model_is_stopped_by_the_contract_which_nobody_can_force(
    gestures_run, tmp_path, checked_here
):
    """By the push's own executor, on what the run left, of a model that was blessed by force."""
    stages = gestures_run.summary["stages"]
    transform = tft.TFTransformOutput(stages["transform"]["outputs"]["transform_graph"])
    clean_exports.write("gestures", transform, tmp_path / "model/Format-Serving", padding="keras")
    inputs = {
        "blessing": standard_artifacts.ModelBlessing(),
        "model": standard_artifacts.Model(),
        "examples": standard_artifacts.Examples(),
        "account": IngestAccount(),
        "verdict": VerdictReport(),
    }
    inputs["blessing"].set_int_custom_property("blessed", 1)
    inputs["model"].uri = str(tmp_path / "model")
    inputs["examples"].split_names = '["train", "eval"]'
    for name in ("examples", "account"):
        inputs[name].uri = stages["ingest"]["outputs"][name]
    judged = read_json(pathlib.Path(stages["verdict"]["outputs"]["verdict_report"], VERDICT_FILE))
    inputs["verdict"].uri = str(tmp_path / "verdict")
    judged |= {"forced": "let me", "reasons": ['blessed by force: "let me"']}
    write_json(tmp_path / "verdict" / VERDICT_FILE, judged)
    report = PushReport()
    report.uri = str(tmp_path / "work/artifacts/push/report/1")
    context = executor.Executor.Context(
        pipeline_info=pipeline_pb2.PipelineInfo(id="gestures"), pipeline_run_id="forced"
    )
    executor.Executor(context).Do(
        {name: [artifact] for name, artifact in inputs.items()},
        {"report": [report]},
        {"serving": "serving", "keep": 5},
    )
    pushed = read_json(pathlib.Path(report.uri, PUSH_FILE))
    assert pushed["pushed"] is None
    [reason] = pushed["refusals"]
    assert reason.startswith("padding contract: missing_step: encode.embedding")
    assert list((tmp_path / "work" / "serving").iterdir()) == []
    assert summary._status(None, judged | {"blessed": True}, pushed) == (
        "not_blessed",
        exits.NOT_BLESSED,
        [reason],
    )


def test_anomalies_stop_the_run_before_training(gestures_run, tmp_path):
    """A label that the schema does not know, in a schema edited to know fewer."""
    schema = tmp_path / "strict.pbtxt"
    schema.write_text(schemas.locate("gestures").read_text().replace('value: "shake"', ""))
    run = run_pipeline(gestures_run.workdir, *gestures_run.arguments, "--set", f"schema={schema}")
    assert run.exit_code == 3
    assert run.summary["status"] == "bad_data"
    assert list(run.summary["stages"])[-1] == "gate"
    assert run.summary["stages"]["gate"]["state"] == "failed"
    assert any("feature 'label'" in reason for reason in run.summary["verdict"]["reasons"])
    assert "Traceback" not in run.stderr
    assert run.summary["train"] is None
    assert [path.name for path in run.serving] == ["1"]


def test_too_many_rejected_records_stop_the_run(gestures_run, tmp_path):
    run = run_pipeline(
        tmp_path / "work",
        *gestures_run.arguments,
        *("--set", "quarantine.max_share=0.0"),
    )
    assert run.exit_code == 3
    assert list(run.summary["stages"]) == ["schema", "ingest"]
    assert "1 of 401 records were rejected" in run.stderr
    assert "data/a.jsonl, line 201" in run.stderr
    [quarantine] = (tmp_path / "work" / "quarantine").rglob("rejected.jsonl")
    assert str(quarantine) in run.stderr
    assert run.serving == []


def test_a_version_that_is_damaged_is_restored_though_all_else_is_cached(gestures_run):
    """Near the end, since it changes what is served."""
    file = gestures_run.workdir / "serving" / "1" / "variables" / "variables.index"
    file.write_bytes(file.read_bytes()[:-1])
    run = run_pipeline(gestures_run.workdir, *gestures_run.arguments)
    assert run.exit_code == 0
    assert {name for name, stage in run.summary["stages"].items() if stage["state"] == "ran"} == {
        "push"
    }
    assert [path.name for path in run.serving] == [".damaged-1", "2"]
    assert run.summary["pushed"]["version"] == 2
    changed = "(variables/variables.index: changed since it was pushed)"
    assert run.summary["verdict"]["reasons"][-2:] == [
        f"version 1, of the same model, is damaged {changed}: restored as a new version",
        f"version 1 is damaged {changed}: moved to .damaged-1",
    ]


def test_a_person_may_bless_a_candidate_and_the_reason_is_kept(gestures_run):
    """Last, as it leaves another version behind: of the candidate that was not blessed."""
    why = "to have a version to roll back from"
    run = run_pipeline(
        gestures_run.workdir, *gestures_run.arguments, *IGNORANT, "--force-bless", why
    )
    assert run.exit_code == 0, run.stderr
    assert run.summary["stages"]["train"]["state"] == "cached"
    assert run.summary["verdict"]["forced"] == why
    forced, *broken = run.summary["verdict"]["reasons"]
    assert forced == f'blessed by force: "{why}"'
    assert any("is above the newest blessed model's" in sentence for sentence in broken)
    assert forced in run.stderr
    folder = run.workdir / "runs" / run.summary["run_id"]
    assert forced in (folder / "log.txt").read_text()
    assert why in (folder / "report.html").read_text()
    changed = run.summary["verdict"]["new_signature"]
    assert changed.startswith(f'new signature: "{FEWER}" (features ax, ay, az, gz, heart_rate, ')
    assert "an embedding of 7 numbers; version 2 has features" in changed
    assert broken[-1] == changed
    assert FEWER in (folder / "report.html").read_text()
    assert changed in ledger.newest(run.workdir / "serving").entry.reasons
    facts = json.loads(
        (run.workdir / "serving" / "3" / "assets.extra" / "encoder.json").read_text()
    )
    assert (facts["pipeline"], facts["embedding_size"]) == ("gestures", 7)
    assert [path.name for path in run.serving] == [".damaged-1", "2", "3"]
