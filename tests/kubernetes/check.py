"""The manifests of examples/kubernetes by schemas, and the Containerfile: `make test-kubernetes`.

Kubernetes' own schemas are those of the package kubernetes-validate, which knows no field by
another name. That of a FlinkDeployment is the custom resource definition in the jar of the
operator's API, which Maven fetches. Where a command or a package cannot be had, it says so and
exits with 69 (EX_UNAVAILABLE). Nothing is run: there is no cluster, and no image is built.
"""

import copy
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "examples" / "kubernetes"
VERSIONS = ("1.30", "1.32", "1.34", "1.37")
OPERATOR = "1.10.0"
_ARTIFACT = "flink-kubernetes-operator-api"
_DEFINITION = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
UNAVAILABLE = 69


class UnavailableError(Exception):
    """What is needed is not there: the text says what."""


def main() -> int:
    """Check all, and that each check sees a mistake."""
    try:
        flink_schema = closed(flink_deployment())
        manifests = built()
    except UnavailableError as error:
        print(f"test-kubernetes: not run: {error}", file=sys.stderr)
        return UNAVAILABLE
    containerfile = (ROOT / "Containerfile").read_text(encoding="utf-8")
    mistakes = [*mistakes_of(manifests, flink_schema), *lint(containerfile)]
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    for unseen in unseen_mistakes(manifests, flink_schema):
        mistakes.append(unseen)
        print(f"not seen: {unseen}", file=sys.stderr)
    kinds = ", ".join(manifest["kind"] for manifest in manifests)
    print(f"{kinds}: Kubernetes {', '.join(VERSIONS)}; Flink's operator {OPERATOR}")
    print(f"{len(manifests)} manifests and the Containerfile, {len(mistakes)} mistakes")
    return bool(mistakes)


def built() -> list[dict[str, Any]]:
    """Return the manifests as kustomize puts them together."""
    if shutil.which("kubectl") is None:
        raise UnavailableError("expected kubectl among the commands, received none")
    done = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS)], check=True, capture_output=True, text=True
    )
    return [*yaml.safe_load_all(done.stdout)]


def flink_deployment() -> dict[str, Any]:
    """Return the schema of a FlinkDeployment, by Maven."""
    if shutil.which("mvn") is None:
        raise UnavailableError("expected Maven among the commands, received none")
    folder = ROOT / ".flink"
    folder.mkdir(exist_ok=True)
    jar = folder / f"{_ARTIFACT}-{OPERATOR}.jar"
    if not jar.exists():
        coordinates = f"org.apache.flink:{_ARTIFACT}:{OPERATOR}"
        command = ["mvn", "--quiet", "--batch-mode", "dependency:copy"]
        command += [f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode or not jar.exists():
            raise UnavailableError(f"expected {coordinates} of Maven, received {done.stdout[:300]}")
    with zipfile.ZipFile(jar) as opened:
        definition = yaml.safe_load(opened.read(_DEFINITION))
    [version] = definition["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def closed(schema: Any) -> Any:
    """Return a definition's schema in which an unknown field is a mistake, as for `kubectl`."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if result.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    is_open = result.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(result.get("properties"), dict) and result.get("type") == "object":
        result.setdefault("additionalProperties", bool(is_open))
    return result


def mistakes_of(manifests: list[dict[str, Any]], flink_schema: Any) -> Iterator[str]:
    """Yield a sentence on each mistake."""
    for manifest in manifests:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        if manifest["kind"] == "FlinkDeployment":
            # Of the rest, which any kind has, Kubernetes itself takes care.
            validator = jsonschema.Draft7Validator(flink_schema)
            for error in validator.iter_errors({"spec": manifest["spec"]}):
                yield f"{name}: {error.json_path}: {error.message}"
            pod = copy.deepcopy(manifest["spec"]["taskManager"]["podTemplate"])
            # The operator adds the image of its own container.
            for container in pod["spec"]["containers"]:
                container.setdefault("image", "flink")
            yield from _kubernetes(f"{name}, a pod", pod)
        else:
            yield from _kubernetes(name, manifest)


def _kubernetes(name: str, manifest: dict[str, Any]) -> Iterator[str]:
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name}: Kubernetes {version}: {error.message}"


def unseen_mistakes(manifests: list[dict[str, Any]], flink_schema: Any) -> Iterator[str]:
    """Yield each of some mistakes that the checks do not see."""
    for path, value in (
        ("FlinkDeployment.spec.flinkVersion", "v1_99"),
        ("FlinkDeployment.spec.taskManager.resource.memroy", "1g"),
        ("FlinkDeployment.spec.taskManager.podTemplate.spec.containers.1.args", "--worker_pool"),
        ("CronJob.spec.concurrencyPolice", "Forbid"),
        ("CronJob.spec.jobTemplate.spec.backoffLimit", "three"),
        ("PersistentVolumeClaim.spec.accessModes", "ReadWriteMany"),
    ):
        kind, *keys, last = path.split(".")
        changed = copy.deepcopy(manifests)
        [inner] = [each for each in changed if each["kind"] == kind]
        for key in keys:
            inner = inner[int(key)] if isinstance(inner, list) else inner[key]
        inner[last] = value
        if not [*mistakes_of(changed, flink_schema)]:
            yield f"{path} = {value}"
    if not [*lint("FROM a:1\nCOPPY b c\n")]:
        yield "COPPY in a Containerfile"


def lint(containerfile: str) -> Iterator[str]:
    """Yield what hadolint, which parses a Containerfile, says of it."""
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), "--no-color", "-"], input=containerfile, capture_output=True, text=True
    )
    yield from re.findall(r"^.+$", done.stdout + done.stderr, re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main())
