"""The sequences of `random_records`, written in every format."""

import csv
import io
import json
import pathlib
from collections.abc import Collection, Iterable
from typing import Any
from xml.sax.saxutils import quoteattr

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from ingest.random_records import Sample

from ragline.components.ingest.source import framing

_DOUBLES, _STRINGS, _INTS = (pa.list_(kind) for kind in (pa.float64(), pa.string(), pa.int64()))


def json_record(sample: Sample) -> dict[str, Any]:
    """A line of JSON Lines; a missing value is null."""
    return {
        "sequence_id": sample.sequence_id,
        "entity_id": sample.entity_id,
        "length": sample.length,
        "features": _lists(sample),
        "label": sample.label,
        "age": sample.age,
        "weight": sample.weight,
    }


def _lists(sample: Sample) -> dict[str, list[Any]]:
    return {
        "a": sample.values[:, 0].tolist(),
        "b": [None if np.isnan(value) else value for value in sample.values[:, 1].tolist()],
        "word": sample.words,
        "code": sample.codes.tolist(),
        "time": sample.time.tolist(),
    }


def jsonl(lines: Iterable[dict[str, Any] | bytes]) -> bytes:
    """Records, or lines as they are."""
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


def rows(sample: Sample) -> list[dict[str, Any]]:
    """A row a step, of Python's types; a missing value is None."""
    lists = _lists(sample)
    return [
        {
            "sequence_id": sample.sequence_id,
            "entity_id": sample.entity_id,
            **{name: column[step] for name, column in lists.items()},
            "label": sample.label,
            "age": sample.age,
            "weight": sample.weight,
        }
        for step in range(sample.length)
    ]


def csv_text(table: Collection[dict[str, Any]], delimiter: str = ",") -> bytes:
    """Rows under a header; None is NaN."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(next(iter(table)))
    for row in table:
        writer.writerow(["NaN" if cell is None else cell for cell in row.values()])
    return text.getvalue().encode()


def nested_rows(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """A row a sequence, with a list a column."""
    plain = map(json_record, samples)
    return [{**record.pop("features"), **record} for record in plain]


def nested(table: list[dict[str, Any]]) -> pa.Table:
    """Rows of `nested_rows` as Arrow."""
    kinds = {"a": _DOUBLES, "b": _DOUBLES, "word": _STRINGS, "code": _INTS, "time": _INTS}
    return pa.table(
        {name: pa.array([row[name] for row in table], kinds.get(name)) for name in table[0]}
    )


def structs(samples: Iterable[Sample]) -> pa.Table:
    """A row a sequence, with one list of structs."""
    table = nested_rows(samples)
    steps = [
        [
            dict(zip(_STEPS, cells, strict=True))
            for cells in zip(*(row[name] for name in _STEPS), strict=True)
        ]
        for row in table
    ]
    rest = [{key: value for key, value in row.items() if key not in _STEPS} for row in table]
    return pa.Table.from_pylist(rest).append_column("steps", pa.array(steps))


_STEPS = ("a", "b", "word", "code", "time")


def parquet(path: pathlib.Path, table: pa.Table) -> None:
    """In several row groups."""
    pq.write_table(table, path, row_group_size=max(1, len(table) // 3))


def ts(samples: Iterable[Sample]) -> bytes:
    """The features alone."""
    lines = [ts_line(sample.values) for sample in samples]
    return b"@problemName x\n@dimensions 2\n@classLabel false\n@data\n" + b"".join(lines)


def ts_line(values: np.ndarray) -> bytes:
    columns = (["?" if np.isnan(v) else repr(float(v)) for v in column] for column in values.T)
    return ":".join(",".join(cells) for cells in columns).encode() + b"\n"


def flat_arrays(samples: Collection[Sample]) -> dict[str, Any]:
    """The arrays of the flat form of .npz."""
    return {
        "values": np.concatenate([s.values for s in samples]),
        "length": [s.length for s in samples],
        "sequence_id": [s.sequence_id for s in samples],
        "entity_id": [s.entity_id.encode() for s in samples],
        "word": [word for s in samples for word in s.words],
        "code": np.concatenate([s.codes for s in samples]),
        "time": np.concatenate([s.time for s in samples]),
        "label": [s.label for s in samples],
        "age": [s.age for s in samples],
        "weight": [s.weight for s in samples],
    }


def feature(values: Any) -> tf.train.Feature:
    """One Feature of Python values; None makes one of no kind, `[]` an empty list of floats."""
    if values is None:
        return tf.train.Feature()
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def message(name: str, steps: dict[str, Any], record: dict[str, Any] | None = None) -> bytes:
    """A serialised record of the format `tfrecord` or `sequence_example`, of columns as lists."""
    context = {key: feature(values) for key, values in (record or {}).items()}
    if name == "tfrecord":
        columns = context | {key: feature(values) for key, values in steps.items()}
        example = tf.train.Example(features=tf.train.Features(feature=columns))
        return bytes(example.SerializeToString(deterministic=True))
    lists = {
        key: tf.train.FeatureList(
            feature=[feature(v if v is None or isinstance(v, list) else [v]) for v in values or []]
        )
        for key, values in steps.items()
    }
    sequence = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    )
    return bytes(sequence.SerializeToString(deterministic=True))


def message_of(name: str, sample: Sample) -> bytes:
    """A sequence as a `message`."""
    return message(name, message_steps(sample), message_record(sample))


def message_steps(sample: Sample) -> dict[str, Any]:
    return {
        "a": sample.values[:, 0].tolist(),
        "b": sample.values[:, 1].tolist(),
        "word": [word.encode() for word in sample.words],
        "code": sample.codes.tolist(),
        "time": sample.time.tolist(),
    }


def message_record(sample: Sample) -> dict[str, Any]:
    return {
        "sequence_id": [sample.sequence_id.encode()],
        "entity_id": [sample.entity_id.encode()],
        "length": [sample.length],
        "label": [sample.label.encode()],
        "age": [sample.age],
        "weight": [sample.weight],
    }


def avro(samples: Iterable[Sample], **options: Any) -> bytes:
    """An Avro file, a record a sequence."""

    def array(kind: Any) -> dict[str, Any]:
        return {"type": "array", "items": kind}

    steps = {"a": "double", "b": ["null", "double"], "word": "string", "code": "long"}
    kinds = {name: array(kind) for name, kind in (steps | {"time": "long"}).items()}
    kinds |= {"sequence_id": "string", "entity_id": "string", "length": "int", "label": "string"}
    kinds |= {"age": "long", "weight": "double"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    return avro_of(
        {"type": "record", "name": "S", "fields": fields}, nested_rows(samples), **options
    )


def avro_rows(table: Collection[dict[str, Any]]) -> bytes:
    """An Avro file, a record a step."""
    kinds = {"a": "double", "b": ["null", "double"], "code": "long", "time": "long"}
    kinds |= {"age": "long", "weight": "double"}
    fields = [{"name": name, "type": kinds.get(name, "string")} for name in next(iter(table))]
    return avro_of({"type": "record", "name": "R", "fields": fields}, table)


def avro_of(schema: dict[str, Any], records: Iterable[Any], **options: Any) -> bytes:
    """An Avro file of any schema, in blocks of some kilobytes."""
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), records, sync_interval=4000, **options)
    return file.getvalue()


_ARFF_KINDS = {"a": "numeric", "b": "real", "code": "integer", "time": "integer"}
_ARFF_KINDS |= {"age": "integer", "weight": "numeric"}


def _arff_cell(value: Any) -> str:
    if value is None:
        return "?"
    text = str(value)
    for character, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n")):
        text = text.replace(character, escaped)
    return f"'{text}'" if isinstance(value, str) else text


def arff(samples: Iterable[Sample]) -> bytes:
    """An ARFF file, a row a sequence, with its steps in a relation."""
    names = ("sequence_id", "entity_id", "length", "label", "age", "weight")
    kinds = _ARFF_KINDS | {"length": "numeric"}
    header = ["% comment", "", "@RELATION 'random samples'"]
    header += [f"@attribute '{name}' {kinds.get(name, 'string')}" for name in names]
    header += ["@attribute steps relational"]
    header += [f"  @attribute {name} {kinds.get(name, 'string')}" for name in _STEPS]
    lines = [*header, "@end steps", "@DATA"]
    for row in nested_rows(samples):
        steps = zip(*(row[name] for name in _STEPS), strict=True)
        relation = "\n".join(",".join(map(_arff_cell, step)) for step in steps)
        lines.append(",".join([*(_arff_cell(row[name]) for name in names), _arff_cell(relation)]))
    return ("\n".join(lines) + "\n").encode()


def series(samples: Collection[Sample]) -> bytes:
    """An ARFF file as the archive has them: a row of a relation is a feature; padded with `?`."""
    most = max(sample.length for sample in samples)
    header = ["% padded at their ends", "@relation 'x'", "@attribute r relational"]
    header += [f"@attribute att{step} numeric" for step in range(most)]
    lines = [*header, "@end r", "@data"]
    for sample in samples:
        cells = [["?" if np.isnan(v) else repr(float(v)) for v in f] for f in sample.values.T]
        padding = ["?"] * (most - sample.length)
        lines.append("'" + "\\n".join(",".join([*feature, *padding]) for feature in cells) + "'")
    return "\n".join([*lines, ""]).encode()


def arff_rows(table: Collection[dict[str, Any]]) -> bytes:
    """An ARFF file, a row a step."""
    header = ["@relation rows"]
    header += [f"@attribute {n} {_ARFF_KINDS.get(n, 'string')}" for n in next(iter(table))]
    rows = [",".join(map(_arff_cell, row.values())) for row in table]
    return "\n".join([*header, "@data", *rows, ""]).encode()


def framed(payloads: Iterable[bytes]) -> bytes:
    """A TFRecord file."""
    return b"".join(map(framing.frame, payloads))


def attribute(tag: str, key: str, value: object) -> str:
    """An attribute of XES."""
    return f"<{tag} key={quoteattr(key)} value={quoteattr(str(value))}/>"


def trace_of(sample: Sample) -> str:
    """A trace of XES."""
    events = []
    for step in range(sample.length):
        a, b = sample.values[step].tolist()
        time = np.datetime64(int(sample.time[step]), "ns")
        cells = [attribute("float", "a", a), attribute("int", "code", sample.codes[step])]
        # A missing value is NaN, or an attribute that is not there.
        cells += [attribute("float", "b", "NaN")] if b != b and step % 2 else []
        cells += [attribute("float", "b", b)] if b == b else []
        cells += [attribute("string", "word", sample.words[step])] if sample.words[step] else []
        cells += [attribute("date", "time:timestamp", f"{time}Z")]
        events.append(f"<event>{''.join(cells)}</event>")
    return "\n".join(
        [
            "<trace>",
            attribute("string", "concept:name", sample.sequence_id),
            attribute("string", "entity_id", sample.entity_id),
            attribute("string", "label", sample.label),
            *events[:1],
            attribute("int", "age", sample.age),
            attribute("float", "weight", sample.weight),
            *events[1:],
            "</trace>",
        ]
    )


def log(*traces: str) -> bytes:
    """A file of XES."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<log xmlns="http://www.xes-standard.org/">\n'
        '<extension name="Concept" prefix="concept" uri="u"/>\n'
        '<global scope="event"><string key="concept:name" value="x"/></global>\n'
        + "\n".join(traces)
        + "\n</log>\n"
    ).encode()
