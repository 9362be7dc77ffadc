"""Clean exports: untrained models of several options and schemas, by the project's own exporter.

`PYTHONPATH=tests python tests/push/clean_exports.py` derives push/contract/ops.txt from them.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import events
import keras
import numpy as np
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from ragline import schemas
from ragline.components.contract.columns import TRANSFORM_TAG, Columns
from ragline.components.contract.feature_transforms import invert
from ragline.components.ingest.output import examples
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.push.contract import graph
from ragline.components.serving import facts
from ragline.components.train.export import export_model, golden_inputs, model_facts
from ragline.components.train.model import architecture
from ragline.components.train.objective import categories
from ragline.components.train.options import HeadOptions, TrainOptions
from ragline.components.transform.preprocessing import preprocessing_fn

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = HeadOptions(name="a", column="label", type="classification", classes=("1", "2"))
# Each value of each option that decides what is exported, at least once; by schema: one in which
# values can be missing, one in which none can, one with categories, one with transforms.
OPTIONS = {
    "gestures": (
        {},
        {"encoder": "gru", "layers": 2, "bidirectional": True, "decoder": "teacher"},
        {"padding": "remask", "dropout": 0.5},
        {"padding": "keras"},
    ),
    "japanese_vowels": ({},),
    "events": ({}, {"decoder": "teacher", "padding": "remask"}),
    "transformed": ({},),
}
_HEADER = """\
# What a pushed SavedModel may be made of: the operations of clean exports, and no others.
# Those marked (saver) keep and restore the weights, those marked (loader) fill tables of words when
# the model is loaded: no signature reaches them.
# Derived by tests/push/clean_exports.py, which says how, from models of every kind of option and
# schema; tests/push/test_exports.py derives it anew.
"""


def transform_output(
    name: str | schema_pb2.Schema, folder: pathlib.Path, seed: int = 0
) -> tft.TFTransformOutput:
    """A schema's Transform graph, analysed by TFT on a few sequences of noise."""
    schema = schema_of(name)
    columns = Columns.from_schema(schema)
    rng = np.random.default_rng(seed)
    length = np.array([3, 4, 5])
    ids = [str(steps) for steps in length]
    chunk = Chunk(
        number=length,
        sequence_id=ids,
        entity_id=ids,
        length=length,
        values={
            feature.name: invert(feature.transform, rng.normal(size=length.sum()))
            for feature in columns.features
        },
        time=None,
        context={column: [None] * len(ids) for column in columns.context},
    )
    return analyse(schema, examples.encode_chunk(chunk, columns), folder)


def analyse(
    schema: schema_pb2.Schema, records: Collection[bytes], folder: pathlib.Path
) -> tft.TFTransformOutput:
    """A schema's Transform graph, analysed by TFT on raw records."""
    columns = Columns.from_schema(schema)
    config = {
        "features": list(columns.names),
        "transforms": list(columns.transforms),
        "context": list(columns.context),
        "allow_missing": columns.allow_missing,
        "categories": [dataclasses.asdict(category) for category in columns.categories],
        "max_tokens": 100,
    }
    source = tfxio.TFExampleBeamRecord(
        physical_format="inmem", telemetry_descriptors=["test"], schema=schema
    )
    with (
        tempfile.TemporaryDirectory() as temporary,
        beam.Pipeline(runner="FnApiRunner") as pipeline,
        tft_beam.Context(temp_dir=temporary, force_tf_compat_v1=False),
    ):
        batches = pipeline | beam.Create(records) | source.BeamSource()
        analysed = (batches, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, config)
        )
        _ = analysed | tft_beam.WriteTransformFn(str(folder))
    return tft.TFTransformOutput(str(folder))


def schema_of(name: str | schema_pb2.Schema) -> schema_pb2.Schema:
    """One of the curated schemas, that of `events`, `transformed`, or the one that is given."""
    if isinstance(name, schema_pb2.Schema):
        return name
    if name == "transformed":
        return transformed()
    return events.schema() if name == "events" else schemas.load(name)


def transformed() -> schema_pb2.Schema:
    """That of the gestures, with each transform, of features that may be missing and not."""
    schema = schemas.load("gestures")
    of = {"ax": "log", "gz": "signed_log", "heart_rate": "log", "saturation": "signed_log"}
    for feature in schema.feature:
        if feature.name in of:
            feature.annotation.tag.append(f"{TRANSFORM_TAG}{of[feature.name]}")
            feature.float_domain.ClearField("min")
            feature.float_domain.ClearField("max")
    return schema


def wide(features: int) -> schema_pb2.Schema:
    """So many features, in which values can be missing."""
    schema = schemas.load("gestures")
    [first, *others] = [one for one in schema.feature if one.type == schema_pb2.FLOAT]
    shown = schema.tensor_representation_group[""].tensor_representation
    for one in others:
        schema.feature.remove(one)
        shown.pop(one.name)
    for number in range(1, features):
        schema.feature.add().CopyFrom(first)
        schema.feature[-1].name = f"f{number}"
        shown[f"f{number}"].CopyFrom(shown[first.name])
        shown[f"f{number}"].ragged_tensor.feature_path.step[:] = [f"f{number}"]
    return schema


def write(
    name: str | schema_pb2.Schema,
    transform: tft.TFTransformOutput,
    folder: pathlib.Path,
    **options: Any,
) -> pathlib.Path:
    """Exports an untrained model of a schema, with its facts and golden inputs; see `_draw`."""
    built, stated, exported = _draw(name, transform, **options)
    export_model.export(built, weights={folder: built.get_weights()}, **exported)
    facts.write(folder, stated)
    golden_inputs.write(
        built,
        features=stated.features,
        directory=folder,
        transform_output=transform,
        columns=exported["columns"],
    )
    return folder


def fingerprint(name: str, transform: tft.TFTransformOutput, **options: Any) -> str:
    """That of what `write` would export."""
    return _draw(name, transform, **options)[1].fingerprint


def _draw(
    name: str | schema_pb2.Schema,
    transform: tft.TFTransformOutput,
    seed: int = 0,
    heads: Collection[HeadOptions] = (),
    input_facts: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[architecture.MaskedAutoencoder, facts.ModelFacts, dict[str, Any]]:
    """An untrained model, its facts, and what else its export is of."""
    schema = schema_of(name)
    columns = Columns.from_schema(schema)
    heads = heads or ((HEAD,) if options and "label" in columns.context else ())
    vocabularies = categories.vocabularies_of(transform, columns)
    keras.utils.set_random_seed(seed)
    train_options = TrainOptions(**{"units": 4, "embedding_size": 3} | options)
    built = architecture.build(
        features=len(columns.names),
        options=train_options,
        heads=heads,
        vocabularies=vocabularies,
        steps=40,
        portable=True,
    )
    exported = {"transform_output": transform, "columns": columns, "heads": heads}
    stated = model_facts.state(
        built,
        options=train_options,
        input_facts=input_facts or {"options": {}, "fields": []},
        **exported,
    )
    return built, stated, exported | {"schema": schema, "vocabularies": vocabularies}


def every(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A model of every schema and options."""
    for name, sets in OPTIONS.items():
        if name == "events":
            (folder / name).mkdir()
            transform = events.transform(folder / name, {"train": events.make(0, (3, 4, 5))})
        else:
            transform = transform_output(name, folder / name / "transform")
        for number, options in enumerate(sets):
            yield write(name, transform, folder / name / str(number), seed=number, **options)


def derive(models: Iterable[pathlib.Path]) -> str:
    """ops.txt."""
    marks: dict[str, str] = {}
    for path in models:
        found = graph.read(path)
        marks = dict.fromkeys(graph.ops(found), graph.OF_SAVER) | marks
        for mark, nodes in (
            (graph.OF_LOADER, graph.nodes_of_loader(found)),
            ("", graph.nodes_of_signatures(found)),
        ):
            marks |= {node.op: mark for node in nodes if marks[node.op] != ""}
    return _HEADER + "".join(f"{op}{marks[op]}\n" for op in sorted(marks))


def show_fingerprints(transform: pathlib.Path, folder: pathlib.Path) -> None:
    """Prints that of another model, and that of one that is written to the folder."""
    output = tft.TFTransformOutput(str(transform))
    print(fingerprint("gestures", output, encoder="gru"))
    print(facts.read(write("gestures", output, folder)).fingerprint)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        graph.OPS_FILE.write_text(derive(every(pathlib.Path(temporary))), encoding="utf-8")
