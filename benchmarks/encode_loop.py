"""The loop that `ragline encode` is measured against: what one writes by hand over a SavedModel.

`python -m benchmarks.encode_loop MODEL PATTERN OUTPUT ORDER` reads JSON Lines, pads batches with
zeros, calls the signature `encode` and writes one Parquet file. It checks nothing, quarantines
nothing, and begins anew if it is cut off. ORDER is `file`, as the records come, or `length`, for
which all of them are held in memory and sorted.
"""

import glob
import json
import pathlib
import sys

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

_BATCH = 512


def main(model: str, pattern: str, output: str, order: str) -> None:
    """Encodes every record."""
    facts = json.loads(pathlib.Path(model, "assets.extra", "encoder.json").read_text())
    names = [feature["name"] for feature in facts["features"]]
    encode = tf.saved_model.load(model).signatures["encode"]
    ids, sequences = [], []
    for path in sorted(glob.glob(pattern)):
        with open(path, "rb") as file:
            for line in file:
                record = orjson.loads(line)
                ids.append(record["sequence_id"])
                columns = [record["features"][name] for name in names]
                sequences.append(np.array(columns, np.float32).T)
    places = list(range(len(sequences)))
    if order == "length":
        places.sort(key=lambda place: len(sequences[place]))
    embedding = np.zeros((len(ids), facts["embedding_size"]), np.float32)
    for begin in range(0, len(places), _BATCH):
        batch = places[begin : begin + _BATCH]
        length = np.array([len(sequences[place]) for place in batch])
        values = np.zeros((len(batch), length.max(), len(names)), np.float32)
        for row, place in enumerate(batch):
            values[row, : length[row]] = sequences[place]
        outputs = encode(values=tf.constant(values), length=tf.constant(length, tf.int64))
        embedding[batch] = outputs["embedding"].numpy()
    columns = {
        "sequence_id": ids,
        "embedding": pa.FixedSizeListArray.from_arrays(embedding.ravel(), embedding.shape[1]),
    }
    pq.write_table(pa.table(columns), output)


if __name__ == "__main__":
    main(*sys.argv[1:])
