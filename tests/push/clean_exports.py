"""Clean exports: untrained models of several options and schemas, by the project's own exporter.

`python tests/push/clean_exports.py` derives components/push/ops.txt from them anew.
"""

import collections
import pathlib
import tempfile
from collections.abc import Iterable, Iterator

import apache_beam as beam
import keras
import numpy as np
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

import schemas
from components.ingest import examples
from components.push import graph
from components.sequence import Columns, Sequence
from components.train import export, golden, model
from components.train.options import HeadOptions, TrainOptions
from components.transform.preprocessing import preprocessing_fn

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = HeadOptions(name="a", column="label", type="classification", classes=("1", "2"))
# Each value of each option that decides what is exported, at least once; by schema: one in which
# values can be missing, one in which none can.
OPTIONS = {
    "gestures": (
        {},
        {"cell": "gru", "layers": 2, "bidirectional": True, "decoder": "teacher"},
        {"padding": "remask", "dropout": 0.5},
        {"padding": "keras"},
    ),
    "japanese_vowels": ({},),
}
_HEADER = """\
# What a pushed SavedModel may be made of: the operations of clean exports, and no others.
# Those marked (saver) keep and restore the weights: no signature reaches them.
# Derived by `python tests/push/clean_exports.py` from models of every kind of option and schema;
# tests/push/test_exports.py derives it anew.
"""


def transform_output(name: str, folder: pathlib.Path, seed: int = 0) -> tft.TFTransformOutput:
    """A schema's Transform graph, analysed by TFT on a few sequences of noise."""
    schema = schemas.load(name)
    columns = Columns.from_schema(schema)
    rng = np.random.default_rng(seed)
    records = [
        examples.encode(
            Sequence(
                sequence_id=str(length),
                entity_id=str(length),
                values=rng.normal(size=(length, len(columns.names))).astype(np.float32),
            ),
            columns,
        )
        for length in (3, 4, 5)
    ]
    config = {
        "features": list(columns.names),
        "context": list(columns.context),
        "allow_missing": columns.allow_missing,
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


def write(
    name: str, transform: tft.TFTransformOutput, folder: pathlib.Path, seed: int = 0, **options
) -> pathlib.Path:
    """Exports an untrained model of a schema, with its golden inputs."""
    schema: schema_pb2.Schema = schemas.load(name)
    columns = Columns.from_schema(schema)
    keras.utils.set_random_seed(seed)
    built = model.build(
        features=len(columns.names),
        options=TrainOptions(**{"units": 4, "embedding_size": 3} | options),
        heads=(HEAD,) if options else (),
        steps=40,
        use_cudnn=False,
    )
    exported = {"transform_output": transform, "columns": columns, "directory": folder}
    export.export(built, schema=schema, **exported)
    golden.write(built, **exported)
    return folder


def every(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A model of every schema and options."""
    for name, sets in OPTIONS.items():
        transform = transform_output(name, folder / name / "transform")
        for number, options in enumerate(sets):
            yield write(name, transform, folder / name / str(number), **options)


def derive(models: Iterable[pathlib.Path]) -> str:
    """ops.txt."""
    of_models: collections.Counter[str] = collections.Counter()
    everywhere: collections.Counter[str] = collections.Counter()
    for path in models:
        found = graph.read(path)
        everywhere += graph.ops(found)
        of_models += collections.Counter(node.op for node in graph.nodes_of_signatures(found))
    lines = [op if op in of_models else f"{op}{graph.OF_SAVER}" for op in sorted(everywhere)]
    return _HEADER + "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        graph.OPS_FILE.write_text(derive(every(pathlib.Path(temporary))), encoding="utf-8")
