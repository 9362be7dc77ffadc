"""`ragline encode` on a real SavedModel: ids, windows, numbers, the account, and going on."""

import io
import json
import pathlib
import shutil

import memory_store
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from conftest import write_jsonl
from ingest import written

import ragline
from ragline.components.contract.errors import BadDataError, NoEncoderError
from ragline.components.files import places
from ragline.components.ingest.source import units
from ragline.components.serving.fast.fast_encoder import FastEncoder
from ragline.pipeline.bulk import encode_files as job
from ragline.pipeline.cli.main import main
from ragline.pipeline.config import ConfigError
from ragline.pipeline.demo.synth import FEATURES
from ragline.pipeline.runs import workdir
from ragline.pipeline.runs.machine_errors import MachineError

COLUMNS = {
    "sequence_id": pa.string(),
    "entity_id": pa.string(),
    "window_start": pa.int64(),
    "window_end": pa.int64(),
    "length": pa.int64(),
    "embedding": pa.list_(pa.float32(), 3),
    "reconstruction_error": pa.float32(),
    "model_version": pa.string(),
}


@pytest.fixture(scope="module")
def records(gestures) -> list[dict]:
    return gestures[:60]


@pytest.fixture
def data(tmp_path, records) -> pathlib.Path:
    """Two files; of the second, one record has no step, and one bears an id of the first."""
    bad = {"sequence_id": "bad", "features": {name: [] for name in FEATURES}}
    write_jsonl(tmp_path / "data" / "a.jsonl", records[:30])
    write_jsonl(tmp_path / "data" / "b.jsonl", [*records[30:], bad, records[0]])
    return tmp_path / "data" / "*.jsonl"


@pytest.fixture
def small_units(monkeypatch):
    """Units of some records, and groups of sequences not much longer than one."""
    from ragline.pipeline.bulk import encode_job

    monkeypatch.setattr(units, "UNIT_BYTES", 30_000)
    monkeypatch.setattr(encode_job, "_GROUP_STEPS", 300)


def _values(record: dict) -> np.ndarray:
    return np.array([record["features"][name] for name in FEATURES], np.float32).T


def _expected(encoder: pathlib.Path, sequences: list[np.ndarray]) -> list[tuple]:
    """Each alone, by the signature itself: no batch, no padding."""
    score = tf.saved_model.load(str(encoder)).signatures["score"]
    expected = []
    for values in sequences:
        outputs = score(
            values=tf.constant(values[np.newaxis]), length=tf.constant([len(values)], tf.int64)
        )
        expected.append(
            (outputs["embedding"].numpy()[0], outputs["reconstruction_error"].numpy()[0])
        )
    return expected


def _encode(source, data, output, *overrides, **options) -> dict:
    """In this process, whose parts tests replace; `ragline.encode` starts another."""
    return job.encode(job.read_request(str(source), str(data), overrides, **options), output)


LOOSE = "quarantine.max_share=0.1"


def test_every_record_is_embedded_or_in_the_quarantine(encoder, data, records, tmp_path):
    summary = _encode(encoder, data, tmp_path / "out", LOOSE)
    assert (summary["read"], summary["encoded"], summary["quarantined"]) == (62, 60, 2)
    assert summary["reasons"] == {"duplicate_id": 1, "empty": 1}
    assert json.loads((tmp_path / "out" / "_summary.json").read_text()) == summary
    assert not (tmp_path / ".out.partial").exists()
    lines = (tmp_path / "out" / "_rejected.jsonl").read_text().splitlines()
    places = [(json.loads(line)["code"], json.loads(line)["line"]) for line in lines]
    assert sorted(places) == [("duplicate_id", 32), ("empty", 31)]

    table = pq.read_table(tmp_path / "out")
    assert {field.name: field.type for field in table.schema} == COLUMNS
    rows = table.to_pylist()
    assert [row["sequence_id"] for row in rows] == [record["sequence_id"] for record in records]
    assert [row["entity_id"] for row in rows] == [record["entity_id"] for record in records]
    expected = _expected(encoder, [_values(record) for record in records])
    for row, record, (embedding, _) in zip(rows, records, expected, strict=True):
        steps = len(_values(record))
        assert (row["window_start"], row["window_end"], row["length"]) == (0, steps, steps)
        assert (row["model_version"], row["reconstruction_error"]) == ("1", None)
        np.testing.assert_allclose(row["embedding"], embedding, rtol=1e-6, atol=1e-6)

    _encode(encoder, data, tmp_path / "errors", LOOSE, errors=True)
    table = pq.read_table(tmp_path / "errors")
    assert {field.name: field.type for field in table.schema} == COLUMNS
    for row, (embedding, error) in zip(table.to_pylist(), expected, strict=True):
        np.testing.assert_allclose(row["embedding"], embedding, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(row["reconstruction_error"], error, rtol=1e-5)


def _avro(records: list[dict]) -> bytes:
    array = {"type": "array", "items": ["null", "double"]}
    fields = [{"name": name, "type": array} for name in FEATURES]
    fields += [{"name": name, "type": "string"} for name in ("sequence_id", "entity_id")]
    schema = {"type": "record", "name": "Gesture", "fields": fields}
    return written.avro_of(schema, [record["features"] | record for record in records])


def _arff(records: list[dict]) -> bytes:
    lines = ["@relation gestures", "@attribute sequence_id string", "@attribute entity_id string"]
    lines += ["@attribute steps relational", *(f"@attribute {n} numeric" for n in FEATURES)]
    lines += ["@end steps", "@data"]
    for record in records:
        steps = zip(*(record["features"][name] for name in FEATURES), strict=True)
        cells = (["?" if value is None else repr(value) for value in step] for step in steps)
        steps_text = "\\n".join(map(",".join, cells))
        lines.append(f"{record['sequence_id']},{record['entity_id']},'{steps_text}'")
    return "\n".join(lines).encode()


@pytest.mark.parametrize(("name", "content"), [("x.avro", _avro), ("x.arff", _arff)])
def test_another_format_gives_the_same_embeddings(encoder, records, tmp_path, name, content):
    write_jsonl(tmp_path / "x.jsonl", records)
    (tmp_path / name).write_bytes(content(records))
    _encode(encoder, tmp_path / "x.jsonl", tmp_path / "expected")
    summary = _encode(encoder, tmp_path / name, tmp_path / "out")
    assert (summary["encoded"], summary["formats"]) == (60, {name[2:]: 1})
    assert pq.read_table(tmp_path / "out").equals(pq.read_table(tmp_path / "expected"))


def test_windows_say_where_they_are_cut(encoder, data, records, tmp_path):
    window = ("input.steps.max_length=20", "input.steps.stride=15")
    _encode(encoder, data, tmp_path / "out", LOOSE, *window)
    rows = pq.read_table(tmp_path / "out").to_pylist()
    by_id = {record["sequence_id"]: _values(record) for record in records}
    cut = [row for row in rows if "[" in row["sequence_id"]]
    assert len(cut) > 60, "most gestures are longer than 20 steps"
    for row in cut:
        whole, _, window = row["sequence_id"].partition("[")
        assert window == f"{row['window_start']}:{row['window_end']}]"
        assert row["length"] == row["window_end"] - row["window_start"] <= 20
        assert row["entity_id"] == next(
            record["entity_id"] for record in records if record["sequence_id"] == whole
        )
    sample = cut[::17]
    sequences = [
        by_id[row["sequence_id"].partition("[")[0]][row["window_start"] : row["window_end"]]
        for row in sample
    ]
    for row, (embedding, _) in zip(sample, _expected(encoder, sequences), strict=True):
        np.testing.assert_allclose(row["embedding"], embedding, rtol=1e-6, atol=1e-6)


def test_rows_of_a_table_are_grouped_as_ingest_does(encoder, records, tmp_path, small_units):
    lines = ["gesture,at," + ",".join(FEATURES)]
    for record in records[:8]:
        for place, step in enumerate(_values(record)):
            lines.append(f"{record['sequence_id']},{place}," + ",".join(map(str, step.tolist())))
    header, *steps = lines
    np.random.default_rng(0).shuffle(steps)  # In any order.
    text = "\n".join([header, *steps]) + "\n"
    (tmp_path / "steps.csv").write_text(text.replace(",nan", ",NaN"))
    options = ('input.group_by=["gesture"]', "input.order_by=at")
    summary = _encode(encoder, tmp_path / "steps.csv", tmp_path / "out", *options)
    assert (summary["read"], summary["encoded"]) == (8, 8)
    rows = {row["sequence_id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    expected = _expected(encoder, [_values(record) for record in records[:8]])
    for record, (embedding, _) in zip(records, expected, strict=False):
        row = rows[record["sequence_id"]]
        np.testing.assert_allclose(row["embedding"], embedding, rtol=1e-6, atol=1e-6)


def _stamps(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Which file a name is: a file that is written anew is another."""
    stats = {path.name: path.stat() for path in folder.glob("part-*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def test_a_job_that_was_cut_off_goes_on(encoder, data, tmp_path, small_units, monkeypatch):
    output, partial = tmp_path / "out", tmp_path / ".out.partial" / "output"
    encode = FastEncoder.encode_flat

    def fails(self, sequences):
        if any(partial.glob("part-*")):
            raise OSError(28, "No space left on device", str(partial))
        return encode(self, sequences)

    with monkeypatch.context() as patch:
        patch.setattr(FastEncoder, "encode_flat", fails)
        with pytest.raises(MachineError, match="No space left on device"):
            _encode(encoder, data, output, LOOSE)
    assert not output.exists()
    before = _stamps(partial)
    assert len(before) == 1, "one unit is done, and no other"
    assert not list(partial.glob(".part*")), "nothing is left of the one that failed"
    (partial / ".part-00001.parquet.1.tmp").write_text("what a kill leaves")
    summary = _encode(encoder, data, output, LOOSE)
    after = _stamps(output)
    assert before.items() <= after.items()
    assert sorted(after) == [part["name"] for part in summary["parts"]] and len(after) > 2
    assert {path.name for path in output.iterdir()} == {
        *after, "_log.txt", "_rejected.jsonl", "_summary.json",
    }  # fmt: skip
    fresh = _encode(encoder, data, tmp_path / "fresh", LOOSE)
    assert fresh == summary
    assert pq.read_table(tmp_path / "fresh").equals(pq.read_table(output))


def test_what_is_done_is_left_and_what_changed_is_done_anew(encoder, data, tmp_path):
    output = tmp_path / "out"
    first = _encode(encoder, data, output, LOOSE)
    stamps = _stamps(output)
    assert _encode(encoder, data, output, LOOSE) == first
    assert _stamps(output) == stamps

    other = _encode(encoder.parent, data, output, LOOSE)  # The newest of them.
    assert (other["model"]["version"], other["digest"] != first["digest"]) == ("2", True)
    rows = pq.read_table(output)
    assert set(rows["model_version"].to_pylist()) == {"2"}

    path = data.parent / "a.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
    assert _encode(encoder.parent, data, output, LOOSE)["read"] == 61
    (output / "part-00000.parquet").unlink()
    assert _encode(encoder.parent, data, output, LOOSE)["read"] == 61
    assert len(pq.read_table(output)) == 60, "of the duplicate, the other one is left"


def test_too_many_rejected_records_leave_nothing_but_the_quarantine(encoder, data, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(BadDataError, match=r"quarantine\.max_share = 1\.0%"):
        _encode(encoder, data, output)
    assert not output.exists()
    assert len((tmp_path / ".out.partial/output/_rejected.jsonl").read_text().splitlines()) == 2
    assert _encode(encoder, data, output, LOOSE)["encoded"] == 60, "the share is no part of the job"


def test_exit_codes(encoder, data, tmp_path, capfd):
    def run(source, pattern, output, *more) -> tuple[int, str]:
        code = main(
            ["encode", str(source), "--input", str(pattern), "--output", str(output), *more]
        )
        return code, capfd.readouterr().err

    out = tmp_path / "out"
    loose = ("--set", LOOSE)
    assert run(encoder, data, out, *loose)[0] == 0
    assert run(encoder, tmp_path / "none" / "*.jsonl", out)[0] == 3
    code, message = run(tmp_path, data, out)
    assert (code, "expected the folder of an encoder" in message) == (2, True)
    code, message = run(tmp_path / "none.toml", data, out)
    assert (code, "none.toml: No such file" in message) == (2, True)
    code, message = run(encoder, data, data.parent)
    assert (code, "expected a new folder" in message) == (2, True)
    code, message = run(encoder, data, out, "--set", "train.epochs=1")
    assert (code, "train: unknown key" in message) == (2, True)
    code, message = run("examples/gestures.toml", data, out, "--workdir", str(tmp_path / "work"))
    assert (code, "expected an encoder that `ragline run` pushed" in message) == (2, True)
    partial = tmp_path / ".busy.partial"
    partial.mkdir()
    with workdir.lock(partial):
        code, message = run(encoder, data, tmp_path / "busy", *loose)
    assert (code, "another run holds it" in message) == (75, True)


def test_an_encoder_that_no_ledger_knows_is_refused(encoder, data, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(
        'name = "x"\nschema = "japanese_vowels"\nworkdir = "work"\n[input]\ntrain = "x.jsonl"\n'
    )
    with pytest.raises(NoEncoderError, match="found none"):
        job.read_request(str(config), str(data))
    shutil.copytree(encoder, tmp_path / "work" / "serving" / "1")
    with pytest.raises(NoEncoderError, match="found none"):  # No ledger knows it.
        job.read_request(str(config), str(data))


def test_no_record_may_be_lost():
    report = {"read": 3, "accepted": 2, "sequences": 2, "steps": 9, "rows_written": 2}
    report |= {"policies": {"windows": 1}, "first": {"empty": "a.jsonl, line 1: no step"}}
    assert job.reconcile([report, report], {"empty": 2})["encoded"] == 4
    with pytest.raises(RuntimeError, match="lost records: read 3, but 2 were accepted and 0"):
        job.reconcile([report], {})
    with pytest.raises(RuntimeError, match="encoded 2, but 1 stand in the parts"):
        job.reconcile([report | {"rows_written": 1}], {"empty": 1})


def test_arrays_are_encoded_without_a_file(encoder, records):
    sequences = [_values(record) for record in records[:20]]
    loaded = ragline.Encoder(encoder)
    assert loaded.facts.columns.names == FEATURES
    embeddings, errors = loaded.score(sequences)
    assert (embeddings.dtype, embeddings.shape, errors.shape) == (np.float32, (20, 3), (20,))
    for received, error, (embedding, expected) in zip(
        embeddings, errors, _expected(encoder, sequences), strict=True
    ):
        np.testing.assert_allclose(received, embedding, rtol=0, atol=1e-6)
        np.testing.assert_allclose(error, expected, rtol=1e-5)
    np.testing.assert_allclose(loaded.encode(sequences), embeddings, rtol=0, atol=1e-6)
    assert loaded.encode([]).shape == (0, 3)
    for wrong in (np.zeros((0, 6)), np.zeros((4, 5)), np.zeros(6)):
        with pytest.raises(ValueError, match=r"sequence 1: expected \[T, 6\] with T >= 1"):
            loaded.encode([sequences[0], wrong])


# A store of objects in place of the disk.


@pytest.fixture
def store(data, encoder) -> str:
    memory_store.clear()
    for file in (*data.parent.glob("*.jsonl"), *encoder.rglob("*")):
        if file.is_file():
            top = data.parent if file.suffix == ".jsonl" else encoder.parent
            place = f"mem://bucket/{top.name}/{file.relative_to(top)}"
            memory_store.OBJECTS[place] = file.read_bytes()
    return "mem://bucket"


def _stored(store: str) -> pa.Table:
    parts = [
        pq.read_table(io.BytesIO(places.read(part))) for part in places.inside(store, "part-*")
    ]
    return pa.concat_tables(parts)


def test_a_store_holds_what_a_disk_does(encoder, data, store, tmp_path, small_units, monkeypatch):
    expected = _encode(encoder, data, tmp_path / "out", LOOSE)
    output, asked = f"{store}/out", (f"{store}/{encoder.parent.name}", f"{store}/data/*.jsonl")
    encode = FastEncoder.encode_flat

    def fails(self, sequences):
        if places.inside(output, "part-*"):
            raise OSError(28, "No space left on device")
        return encode(self, sequences)

    with monkeypatch.context() as patch:
        patch.setattr(FastEncoder, "encode_flat", fails)
        with pytest.raises(MachineError, match="No space left on device"):
            _encode(*asked, output, LOOSE)
    [done] = places.inside(output, "part-*")
    assert not places.exists(f"{output}/_summary.json"), "no result yet"
    summary = _encode(*asked, output, LOOSE)
    assert memory_store.WRITTEN.count(done) == 1, "what was done is not done again"
    assert _stored(output).equals(pq.read_table(tmp_path / "out"))
    assert summary["parts"] == expected["parts"] and summary["reasons"] == expected["reasons"]
    assert summary["model"]["version"] == "1"
    names = sorted(place.removeprefix(f"{output}/") for place in places.inside(output))
    # A store has no empty object, such as a log of nothing.
    assert names == sorted(p.name for p in (tmp_path / "out").iterdir() if p.stat().st_size)
    last = memory_store.WRITTEN.index(f"{output}/_summary.json")
    assert all(memory_store.WRITTEN.index(f"{output}/{part['name']}") < last
               for part in summary["parts"])  # fmt: skip

    written = list(memory_store.WRITTEN)
    assert _encode(*asked, output, LOOSE) == summary
    assert written == memory_store.WRITTEN
    _encode(*asked, output, LOOSE, "input.steps.max_length=20")
    assert {len(row) for row in _stored(output)["embedding"].to_pylist()} == {3}
    assert _stored(output)["length"].to_pylist().count(20) > 60, "another job, and nothing of this"
    with pytest.raises(ConfigError, match="expected a new folder"):
        _encode(*asked, f"{store}/data", LOOSE)
