"""The specification for Kubeflow: Kubeflow's own parser takes it, and every reference resolves."""

import copy
import json

import pytest
from commands import ragline
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from ragline.pipeline.runs import kubeflow

IMAGE = "ragline:1"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kubeflow")
    (folder / "a.jsonl").write_text("{}\n")
    done = ragline(
        *("compile", "examples/gestures.toml", "--kubeflow", IMAGE),
        *("--workdir", folder / "work", "--set", f"input.train={folder}/a.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_records_have_no_place_of_their_own():
    done = ragline(
        *("compile", "examples/gestures.toml", "--kubeflow", IMAGE),
        *("--set", "records=s3://bucket/records"),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("records: expected none, received 's3://bucket/records': Kubefl")


def test_kubeflow_parses_it_and_every_stage_is_there(job):
    spec = json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    assert set(spec.root.dag.tasks) == {
        "schema", "ingest", "statistics", "anomalies", "gate", "transform", "train", "evaluate",
        "baselines", "verdict", "push",
    }  # fmt: skip
    executors = spec.deployment_spec["executors"]
    for name in spec.root.dag.tasks:
        container = executors[f"{name}_executor"]["container"]
        assert container["image"] == IMAGE
        assert "kubeflow_v2_run_executor" in " ".join(container["command"])
    assert list(spec.root.dag.tasks["push"].inputs.artifacts)


def test_every_reference_resolves(job):
    assert list(kubeflow.dangling(job)) == []


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        (("components",), "push", "task push: no component 'push'"),
        (("deploymentSpec", "executors"), "gate_executor", "component gate: no executor"),
        (("root", "dag", "tasks"), "gate", "task transform: no task 'gate' to wait for"),
        (
            ("components", "train", "outputDefinitions", "artifacts"),
            "model",
            "task push: input 'model': task 'train' makes no 'model'",
        ),
    ],
)
def test_a_reference_to_nothing_is_told(job, path, name, message):
    broken = copy.deepcopy(job)
    place = broken["pipelineSpec"]
    for key in path:
        place = place[key]
    del place[name]
    assert any(line.startswith(message) for line in kubeflow.dangling(broken))
