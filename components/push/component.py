"""The TFX component of the push."""

import importlib.metadata
import pathlib
import shutil
import tempfile
from typing import Any

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, Schema
from tfx.utils import path_utils

import schemas
from components.artifacts import (
    ACCOUNT_FILE,
    PUSH_FILE,
    VERDICT_FILE,
    IngestAccount,
    PushReport,
    Verdict,
)
from components.push import check, probes, publish
from components.push.sequences import Probe
from components.sequence import Category, Columns
from components.storage import digest_of, read_json, write_json

_PACKAGES = ("ragline", "tensorflow", "keras", "tensorflow-transform")


@component
def Push(  # noqa: N802 (a TFX component is named as a class)
    model: InputArtifact[Model],
    blessing: InputArtifact[ModelBlessing],
    verdict: InputArtifact[Verdict],
    examples: InputArtifact[Examples],
    account: InputArtifact[IngestAccount],
    schema: InputArtifact[Schema],
    report: OutputArtifact[PushReport],
    serving: Parameter[str],
    source: Parameter[str],
) -> None:
    """Pushes a blessed encoder that keeps the padding contract; otherwise says why not."""
    del source  # Part of the cache key only.
    result: dict[str, Any] = {"pushed": None, "violations": []}
    if blessing.get_int_custom_property("blessed"):
        [schema_file] = pathlib.Path(schema.uri).iterdir()
        columns = Columns.from_schema(schemas.load(schema_file))
        staged = publish.stage(
            pathlib.Path(path_utils.serving_model_path(model.uri)), pathlib.Path(serving)
        )
        sequences = _sequences(artifact_utils.get_split_uri([examples], "eval"), columns)
        checked = check_in_clean_process(
            staged, probes.choose(sequences), columns.names, columns.categories
        )
        result["violations"] = checked["violations"]
        if checked["violations"]:
            shutil.rmtree(staged)
        else:
            facts = encoder_facts(
                columns=columns,
                moments=probes.moments(sequences),
                vocabularies=[probes.vocabulary(staged, one) or [] for one in columns.categories],
                embedding_size=checked["embedding_size"],
                verdict=read_json(pathlib.Path(verdict.uri) / VERDICT_FILE),
                account=read_json(pathlib.Path(account.uri) / ACCOUNT_FILE),
                span=examples.span,
            )
            write_json(staged / probes.ENCODER_FILE, facts)
            final = publish.publish(staged)
            result["pushed"] = {"version": int(final.name), "path": str(final)}
    write_json(pathlib.Path(report.uri) / PUSH_FILE, result)


def encoder_facts(
    *,
    columns: Columns,
    moments: list[dict[str, float | None]],
    vocabularies: list[list[bytes]],
    embedding_size: int,
    verdict: dict[str, Any],
    account: dict[str, Any],
    span: int,
) -> dict[str, Any]:
    """What stands beside an encoder for those who call it: `assets.extra/encoder.json`.

    Each feature's `mean` and `std` are those of the sequences that the encoder was checked on, so
    that whoever finds it can make others like them (`ragline check`) without anybody's data. The
    words of each category stand in the SavedModel's assets.
    """
    shards = [shard["sha256"] for shard in account["splits"]["train"]["shards"]]
    return {
        "features": [
            {"name": feature.name, "unit": feature.unit, **stated}
            for feature, stated in zip(columns.features, moments, strict=True)
        ],
        "categories": [
            {
                "name": category.name,
                "input": category.key,
                "kind": category.kind,
                "vocabulary_size": len(words),
            }
            for category, words in zip(columns.categories, vocabularies, strict=True)
        ],
        "embedding_size": embedding_size,
        "training_data": {"span": span, "fingerprint": digest_of(shards)},
        "metrics": verdict["metrics"]["overall"],
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def check_in_clean_process(
    model: pathlib.Path,
    sequences: list[Probe],
    names: tuple[str, ...],
    categories: tuple[Category, ...] = (),
) -> dict[str, Any]:
    """Checks a model on given sequences; returns `violations`, sentences, and `embedding_size`.

    Raises:
      NoEncoderError: the model cannot be loaded or lacks the signature `encode`.
      RuntimeError: the process failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "probes.npz")
        probes.save(file, sequences, names, categories)
        checked = check.check(model, file)
    return {
        "violations": [str(violation) for violation in checked.violations],
        "embedding_size": checked.embedding_size,
    }


def _sequences(folder: str, columns: Columns) -> list[Probe]:
    shards = sorted(tf.io.gfile.glob(f"{folder}/*"))
    records = tf.data.TFRecordDataset(shards, "GZIP").take(512).as_numpy_iterator()
    return probes.decode(records, columns.names, columns.categories)
