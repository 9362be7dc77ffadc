"""What `ragline encode` says of data unlike those that the encoder was trained on."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import write_jsonl

from ragline.components.contract import exits
from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.serving.facts import FeatureFacts
from ragline.pipeline.bulk import drift, encode_files
from ragline.pipeline.cli.main import main
from ragline.pipeline.demo.synth import FEATURES

COLUMNS = Columns(
    features=tuple(
        Feature(name=name, unit=unit, allow_missing=True)
        for name, unit in (("p", "bar"), ("still", None), ("flat", None), ("never", None))
    ),
    context={},
    categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
)
KNOWN = {"word": frozenset({"a", "b"}), "code": frozenset({7})}
TRAINED_ON = tuple(
    FeatureFacts(name=name, unit=unit, allow_missing=True, mean=mean, std=std)
    for name, unit, mean, std in (
        ("p", "bar", 1.0, 0.05),
        ("still", None, 5.0, 2.0),
        ("flat", None, 3.0, 0.0),
        ("never", None, None, 0.0),
    )
)


def _chunk(p, words) -> Chunk:
    number = len(p)
    return Chunk(
        number=np.array([1]),
        sequence_id=["s"],
        entity_id=[None],
        length=np.array([number]),
        values={
            "p": np.array(p, np.float64),
            "still": np.linspace(2, 8, number),
            "flat": np.full(number, 1e9),
            "never": np.full(number, 4.0),
            "word": np.array(words, object),
            "code": np.array([7] * (number - 1) + [8]),
        },
        time=None,
        context={},
    )


def _measured(*chunks: Chunk):
    parts = [drift.of_chunk(chunk, COLUMNS, KNOWN) for chunk in chunks]
    return drift.measure(drift.merged(json.loads(json.dumps(parts))), TRAINED_ON)


def test_figures_are_the_oracles():
    """Over all steps at once, in float64; in parts, whatever the parts."""
    rng = np.random.default_rng(0)
    p = rng.normal(101.3, 5.0, 30).astype(np.float32)
    p[4] = np.nan
    words = rng.choice(["a", "b", "c", "d", ""], 30).tolist()
    there = p[~np.isnan(p)].astype(np.float64)
    said = [word for word in words if word]
    for cuts in ([30], [1, 30], [7, 8, 30]):
        parts = zip([0, *cuts], cuts, strict=False)
        measured = _measured(*(_chunk(p[i:j], words[i:j]) for i, j in parts))
        figures = measured["features"]["p"]
        assert figures["shift"] == pytest.approx((there.mean() - 1.0) / 0.05, rel=1e-12)
        assert figures["spread"] == pytest.approx(there.std() / 0.05, rel=1e-12)
        assert set(measured["features"]) == {"p", "still"}
        unknown = sum(word in "cd" for word in said) / len(said)
        assert measured["categories"]["word"]["unknown"] == pytest.approx(unknown, rel=1e-12)
        assert measured["categories"]["code"]["unknown"] == pytest.approx(len(cuts) / 30)
        assert set(measured["categories"]["word"]["examples"]) == {"c", "d"}


def test_a_transformed_feature_is_compared_in_the_space_that_the_encoder_reads():
    """Of raw giants, the mean is their own; of others, none is near."""
    p = np.array([1.0, 10.0, np.nan, 1e6], np.float32)
    columns = dataclasses.replace(
        COLUMNS, features=(dataclasses.replace(COLUMNS.features[0], transform="log"),)
    )
    part = drift.of_chunk(_chunk(p, [""] * 4), columns, {})
    logs = np.log(np.array([1.0, 10.0, 1e6]))
    [trained] = [dataclasses.replace(TRAINED_ON[0], transform="log", mean=logs.mean() - 20.0)]
    measured = drift.measure(drift.merged([part]), [trained])
    assert measured["features"]["p"]["shift"] == pytest.approx(20.0 / 0.05, rel=1e-12)
    assert measured["features"]["p"]["spread"] == pytest.approx(logs.std() / 0.05, rel=1e-12)
    [sentence] = drift.describe(measured, [trained])
    assert sentence.startswith("'p': its mean log of 5.373 is +400 standard deviations from")


@pytest.mark.parametrize(
    ("p", "words", "parts"),
    [
        ([0.98, 1.0, 1.05, 0.95], ["a", "b", "a", "x"], ()),
        ([98.0, 100.0, 105.0, 95.0], ["a"] * 4, ("'p': its mean of 99.5 is ", "values in bar")),
        ([0.98, 1.0, 1.05, 0.95], ["x", "y", "x", "b"], ("'word': 75% of its words", "'x', 'y'")),
        ([1.0, 1.001, 1.0, 1.001], ["a"] * 4, ("'p'", "its spread 0.01 times theirs")),
    ],
)
def test_what_is_unlike_is_said(p, words, parts):
    sentences = [*drift.describe(_measured(_chunk(p, words)), TRAINED_ON)]
    assert len(sentences) == bool(parts)
    assert all(part in sentences[0] for part in parts)


def test_other_units_are_said_and_stop_a_job_that_bounds_them(encoder, gestures, tmp_path, capsys):
    """A factor of 100, as of bar and kPa."""
    folder = shutil.copytree(encoder, tmp_path / "serving" / "1")
    records = gestures[:20]
    columns = {
        name: np.concatenate([np.array(r["features"][name], float) for r in records])
        for name in FEATURES
    }
    stated = json.loads((folder / ENCODER_FILE).read_text())
    for feature in stated["features"]:
        column = columns[feature["name"]]
        feature["mean"], feature["std"] = float(np.nanmean(column)), float(np.nanstd(column))
    (folder / ENCODER_FILE).write_text(json.dumps(stated))
    write_jsonl(tmp_path / "same" / "a.jsonl", records)
    other = [
        record
        | {
            "features": record["features"]
            | {"ax": [None if v is None else 100 * v for v in record["features"]["ax"]]}
        }
        for record in records
    ]
    write_jsonl(tmp_path / "other" / "a.jsonl", other)
    arguments = ["encode", str(folder), "--output", str(tmp_path / "out"), "--input"]
    same, unlike = (str(tmp_path / name / "*.jsonl") for name in ("same", "other"))
    assert main([*arguments, same, "--max-drift", "2"]) == exits.DONE
    assert "warning" not in capsys.readouterr().err
    assert main([*arguments, unlike, "--max-drift", "8"]) == exits.BAD_DATA
    said = capsys.readouterr().err
    assert "drift: 'ax': its mean of " in said and "Traceback" not in said
    assert pq.read_table(tmp_path / "out").num_rows == 20, "the earlier result stays"
    assert main([*arguments, unlike]) == exits.DONE
    said = capsys.readouterr().err
    assert said.count("warning: ") == 1 and "warning: 'ax': its mean of " in said
    # Done already, it is judged all the same.
    assert main([*arguments, unlike, "--max-drift", "8"]) == exits.BAD_DATA
    with pytest.raises(BadDataError, match="'ax': its mean of"):
        encode_files.encode(
            encode_files.read_request(str(folder), str(unlike), max_drift=8.0), tmp_path / "new"
        )
    assert not (tmp_path / "new").exists()
