"""The estimator without its training: of the same files, an encoder whose weights are drawn."""

import pathlib
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from push import clean_exports

from ragline.components.ingest.options import input_facts
from ragline.components.ingest.output import examples
from ragline.components.ingest.records.chunk import Chunk
from ragline.pipeline import config as configuration
from ragline.pipeline.python import training
from ragline.pipeline.python.estimator import SequenceEncoder
from ragline.pipeline.runs.runner import Outcome

BLESSED = {"blessed": True, "forced": None, "new_signature": None, "reasons": ["drawn"]}


def summary(**changed: Any) -> dict[str, Any]:
    return {"run_id": "r", "exit_code": 0, "baselines": None, "verdict": BLESSED} | changed


class Drawn(SequenceEncoder):
    """`fit` analyses the sequences by Transform and exports a model, and trains nothing."""

    def _run(self, config: pathlib.Path) -> Outcome:
        parsed = configuration.load(config, training.overrides(dict(self.options or {})))
        serving = pathlib.Path(parsed.workdir) / "serving"
        export(parsed, serving / "1")
        return Outcome(summary=summary(), folder=pathlib.Path(parsed.workdir))


def export(parsed: configuration.Config, model: pathlib.Path) -> None:
    contract = configuration.read_contract(parsed)
    schema, columns = contract.schema, contract.columns
    table = pq.read_table(parsed.input.train).to_pandas()
    lengths = table.groupby(parsed.input.group_by[0], sort=False).size()
    ids = [str(name) for name in lengths.index]
    learnt = (*columns.names, *(category.name for category in columns.categories))
    chunk = Chunk(
        number=np.arange(len(ids)),
        sequence_id=ids,
        entity_id=ids,
        length=lengths.to_numpy(np.int64),
        values={name: table[name].to_numpy() for name in learnt},
        time=None,
        context={name: [None] * len(ids) for name in columns.context},
    )
    records = examples.encode_chunk(chunk, columns)
    transform = clean_exports.analyse(schema, records, model.parents[1] / "transform")
    clean_exports.write(schema, transform, model, input_facts=input_facts(parsed.input))
