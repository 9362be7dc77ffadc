"""Compile the pipeline to a specification of Kubeflow Pipelines, for `ragline compile`.

TFX's compiler writes it. Kubeflow's own parser accepts a task whose input no task makes, so every
reference is checked here.
"""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from ragline.pipeline.config import Config, ConfigError, read_contract
from ragline.pipeline.runs import workdir

_SPEC = "pipelineSpec"


def specification(config: Config, image: str) -> dict[str, Any]:
    """Return the job: `pipelineSpec`, `runtimeConfig` and labels.

    Args:
      config: configuration of the pipeline; its paths must be those that the containers see.
      image: image in which every stage runs; the Containerfile makes one.

    Raises:
      ConfigError: Kubeflow's libraries are not installed, or `records` is set.
      BadDataError: there are no input files, whose content is a part of the specification.
    """
    if config.records is not None:
        raise ConfigError(
            f"records: expected none, received {config.records!r}: Kubeflow keeps the records of a "
            "pipeline in a store of its own"
        )
    if importlib.util.find_spec("kfp") is None:
        raise ConfigError(
            "compile: expected kfp: uv pip install -e '.[kubeflow]' -c constraints.txt"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets whoever imports it.
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    from ragline.pipeline.runs import runner

    with (
        workdir.held(config),  # A copy of the schema is kept there.
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image=image),
            output_dir=folder,
            output_filename="job.json",
        ).run(
            runner.pipeline_of(
                config, read_contract(config), pathlib.Path(config.workdir), portable=False
            )
        )
        job: dict[str, Any] = json.loads(pathlib.Path(folder, "job.json").read_text("utf-8"))
    if lines := list(dangling(job)):
        raise AssertionError("TFX compiled references to nothing: " + "; ".join(lines))
    return job


def dangling(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each reference of a job that does not resolve."""
    spec = job[_SPEC]
    components, tasks = spec["components"], spec["root"]["dag"]["tasks"]
    executors = spec["deploymentSpec"]["executors"]
    for name, component in components.items():
        if component["executorLabel"] not in executors:
            yield f"component {name}: no executor {component['executorLabel']!r}"
    for name, task in tasks.items():
        if (component := task["componentRef"]["name"]) not in components:
            yield f"task {name}: no component {component!r}"
        for upstream in task.get("dependentTasks", ()):
            if upstream not in tasks:
                yield f"task {name}: no task {upstream!r} to wait for"
        for key, artifact in task.get("inputs", {}).get("artifacts", {}).items():
            reference = artifact["taskOutputArtifact"]
            producer, output = reference["producerTask"], reference["outputArtifactKey"]
            if output not in _outputs(tasks, components, producer):
                yield f"task {name}: input {key!r}: task {producer!r} makes no {output!r}"


def _outputs(tasks: Mapping[str, Any], components: Mapping[str, Any], task: str) -> set[str]:
    component = components.get(tasks.get(task, {}).get("componentRef", {}).get("name"), {})
    return set(component.get("outputDefinitions", {}).get("artifacts", {}))
