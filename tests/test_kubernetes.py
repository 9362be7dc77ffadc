"""The manifests of examples/kubernetes say what was measured on Flink, and fit together.

`make test-kubernetes` holds them to the schemas of Kubernetes and of Flink's operator.
"""

import functools
import pathlib
import re
import tomllib
from typing import Any

import pytest
import yaml
from commands import ROOT
from flink import cluster, fetch

from ragline.components.contract import exits
from ragline.pipeline import config

MANIFESTS = ROOT / "examples" / "kubernetes"
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
JOB_SERVER = "beam-runners-flink-1.19-job-server"


@functools.cache
def _manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((MANIFESTS / name).read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def nightly() -> config.Config:
    return config.load(MANIFESTS / "nightly.toml", ["schema=gestures"])


def _option(nightly: config.Config, name: str) -> str:
    [value] = [o.partition("=")[2] for o in nightly.beam.options if o.startswith(f"--{name}=")]
    return value


def test_kustomize_takes_every_file():
    named = _manifest("kustomization.yaml")
    generated = [file for each in named["configMapGenerator"] for file in each["files"]]
    listed = {*named["resources"], *named["configurations"], *generated, "kustomization.yaml"}
    assert listed == {path.name for path in MANIFESTS.iterdir()}


def test_flink_is_set_as_it_was_when_it_was_killed(nightly, tmp_path):
    """All settings are those of tests/flink, and all that docs/engines.md explains are there."""
    settings = _manifest("flink.yaml")["spec"]["flinkConfiguration"]
    tested = cluster._configuration(1, 2, tmp_path)
    assert settings == {key: str(tested[key]) for key in settings}
    page = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    [table] = re.findall(r"^\| \| why \|\n((?:\|.*\n)+)", page, re.MULTILINE)
    for name in re.findall(r"`([\w.-]+\.[\w.-]+)(?:: [^`]*)?`", table):
        assert any(key.endswith(name) for key in settings), name
    backoff, unit = settings["restart-strategy.exponential-delay.initial-backoff"].split()
    cached = int(_option(nightly, "environment_cache_millis"))
    assert (unit, cached) == ("s", 5000)
    assert 1000 * int(backoff) > cached


def test_the_run_reaches_flink_and_flink_its_workers(nightly):
    deployment = _manifest("flink.yaml")
    assert _option(nightly, "flink_master") == f"http://{deployment['metadata']['name']}-rest:8081"
    pod = deployment["spec"]["taskManager"]["podTemplate"]["spec"]
    [worker] = [each for each in pod["containers"] if each["name"] != "flink-main-container"]
    assert worker["args"] == ["--worker_pool"]
    [port] = worker["ports"]
    assert _option(nightly, "environment_type") == "EXTERNAL"
    assert _option(nightly, "environment_config") == f"localhost:{port['containerPort']}"


def test_all_see_the_work_directory_under_one_path(nightly):
    job = _manifest("nightly.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pods = [job, _manifest("flink.yaml")["spec"]["taskManager"]["podTemplate"]["spec"]]
    claim = _manifest("work.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in pods:
        [work] = [each for each in pod["volumes"] if each["name"] == "work"]
        assert work["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        [path] = [
            mount["mountPath"]
            for container in pod["containers"]
            for mount in container.get("volumeMounts", ())
            if mount["name"] == "work"
        ]
        for place in (nightly.workdir, nightly.input.train):
            assert pathlib.PurePath(path) in pathlib.PurePath(place).parents
    [generated] = _manifest("kustomization.yaml")["configMapGenerator"]
    [of_run] = [each for each in job["volumes"] if "configMap" in each]
    assert of_run["configMap"]["name"] == generated["name"]


def test_every_image_has_a_target_and_a_place():
    spec, job = _manifest("flink.yaml")["spec"], _manifest("nightly.yaml")["spec"]["jobTemplate"]
    containers = [
        *spec["taskManager"]["podTemplate"]["spec"]["containers"],
        *job["spec"]["template"]["spec"]["containers"],
    ]
    used = {spec["image"], *(each["image"] for each in containers if "image" in each)}
    assert used == {each["name"] for each in _manifest("kustomization.yaml")["images"]}
    targets = {*re.findall(r"^FROM \S+ AS (\w+)$", CONTAINERFILE, re.MULTILINE)}
    assert {name.removeprefix("ragline-") for name in used} <= targets


def test_the_job_is_not_tried_again_where_that_is_of_no_use():
    job = _manifest("nightly.yaml")["spec"]["jobTemplate"]["spec"]
    [ignored, failed] = job["podFailurePolicy"]["rules"]
    assert ignored["action"] == "Ignore"
    assert failed["action"] == "FailJob"
    codes = [exits.BAD_CONFIG, exits.BAD_DATA, exits.NOT_BLESSED]
    assert failed["onExitCodes"]["values"] == codes
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # Else Kubernetes wants no policy.
    [container] = job["template"]["spec"]["containers"]
    assert failed["onExitCodes"]["containerName"] == container["name"]


def test_the_job_and_the_service_run_one_command():
    job = _manifest("nightly.yaml")["spec"]["jobTemplate"]["spec"]
    [container] = job["template"]["spec"]["containers"]
    service = (ROOT / "examples" / "systemd" / "ragline.service").read_text(encoding="utf-8")
    [command] = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", service, re.MULTILINE)
    assert container["command"] == ["/bin/sh", "-c"]
    assert container["args"] == [command.replace("%%", "%").replace("/opt/ragline/.venv/bin/", "")]


def test_the_containerfile_copies_what_is_there_of_one_version():
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    for source in " ".join(sources).split():
        assert source.startswith(JOB_SERVER) or (ROOT / source).exists(), source
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    [beam] = re.findall(r"^apache-beam==(\S+)$", constraints, re.MULTILINE)
    [python] = re.findall(r"^FROM python:([\d.]+)-", CONTAINERFILE, re.MULTILINE)
    assert f"beam_python{python}_sdk:{beam} " in CONTAINERFILE
    assert {*re.findall(rf"{JOB_SERVER}[-:]([\d.]+\d)", CONTAINERFILE)} == {beam}
    assert f"flink:{fetch.FLINK}-java17 " in CONTAINERFILE
    assert _manifest("flink.yaml")["spec"]["flinkVersion"] == "v" + "_".join(
        fetch.FLINK.split(".")[:2]
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python in version
