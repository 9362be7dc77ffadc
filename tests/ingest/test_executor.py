"""Tests of ingest as the component runs it: files in, and what stands on the disk afterwards."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, standard_artifacts

import schemas
from components.artifacts import ACCOUNT_FILE, IngestAccount
from components.errors import BadDataError
from components.ingest.executor import Executor
from components.ingest.splits import split_of
from components.sequence import LENGTH, SPLITS, length_bucket
from components.storage import sha256

FEATURES = ("ax", "ay", "az", "gz", "heart_rate", "saturation")
JAPANESE_VOWELS = pathlib.Path(__file__).parents[3] / "shared" / "data" / "japanese_vowels"
RUN_ID = "run-7"

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """The artifacts and folders of one execution."""

    schema: standard_artifacts.Schema
    examples: standard_artifacts.Examples
    account: IngestAccount
    quarantine: pathlib.Path

    @property
    def shards(self) -> dict[str, list[pathlib.Path]]:
        """Split -> its files."""
        root = pathlib.Path(self.examples.uri)
        return {split: sorted((root / f"Split-{split}").iterdir()) for split in SPLITS}

    @property
    def bytes(self) -> dict[str, list[bytes]]:
        """Split -> the content of its files."""
        return {split: [p.read_bytes() for p in paths] for split, paths in self.shards.items()}

    def read_account(self) -> dict[str, Any]:
        return json.loads((pathlib.Path(self.account.uri) / ACCOUNT_FILE).read_text())

    def read_quarantine(self) -> list[Record]:
        text = (self.quarantine / RUN_ID / "rejected.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def read_examples(self) -> dict[str, dict[str, Record]]:
        """Split -> sequence_id -> column -> its values, as tf.data and the proto read them."""
        return {
            split: {
                columns["sequence_id"][0].decode(): columns
                for columns in map(_columns_of, _records(paths))
            }
            for split, paths in self.shards.items()
        }


def _records(paths: list[pathlib.Path]) -> Iterator[bytes]:
    yield from tf.data.TFRecordDataset([str(p) for p in paths], "GZIP").as_numpy_iterator()


def _columns_of(record: bytes) -> Record:
    features = tf.train.Example.FromString(record).features.feature
    return {
        name: list(getattr(feature, feature.WhichOneof("kind")).value)
        for name, feature in features.items()
    }


def _run(
    folder: pathlib.Path, schema: str = "gestures", max_share: float = 0.01, **options: Any
) -> Place:
    """One execution of the component's executor, as TFX calls it."""
    place = Place(
        schema=standard_artifacts.Schema(),
        examples=standard_artifacts.Examples(),
        account=IngestAccount(),
        quarantine=folder / "quarantine",
    )
    for name in ("schema", "examples", "account"):
        (folder / name).mkdir(parents=True)
        getattr(place, name).uri = str(folder / name)
    shutil.copy(schemas.locate(schema), folder / "schema" / "schema.pbtxt")
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=FnApiRunner"],
        tmp_dir=str(folder / "tmp"),
        unique_id="1",
        pipeline_run_id=RUN_ID,
    )
    with pytest.MonkeyPatch.context() as patch:
        # TFX hands the arguments of the process, here pytest's, to absl.
        patch.setattr("sys.argv", ["ragline"])
        Executor(context).Do(
            {"schema": [place.schema]},
            {"examples": [place.examples], "account": [place.account]},
            {
                "options": json.dumps({"input": options, "quarantine": {"max_share": max_share}}),
                "quarantine": str(place.quarantine),
                "fingerprint": "",
            },
        )
    return place


def _record(number: int, **more: Any) -> Record:
    """A record of 1 to 5 steps; three sequences an entity; every second has missing values."""
    random = np.random.default_rng(number)
    steps = number % 5 + 1
    features = {name: random.normal(size=steps).tolist() for name in FEATURES}
    if number % 2:
        features["heart_rate"][0] = None
    record = {
        "sequence_id": f"s{number}",
        "entity_id": f"wearer-{number // 3}",
        "features": features,
        "label": "circle",
    }
    return record | more


def _without(record: Record, *keys: str) -> Record:
    return {key: value for key, value in record.items() if key not in keys}


def _write(path: pathlib.Path, lines: list[Record | bytes]) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(texts) + b"\n")
    return path


CLEAN = {
    "one": [_record(number) for number in range(20)],
    "two": [_record(number) for number in range(20, 36)]
    + [
        _without(_record(36), "label"),
        _without(_record(37), "entity_id"),
        _without(_record(38), "sequence_id", "entity_id"),
        _without(_record(39), "sequence_id") | {"length": 5},
    ],
}
DEFAULT_IDS = ("two.jsonl:19", "two.jsonl:20")
POISON: list[tuple[str, Record | bytes]] = [
    ("json", b'{"features": '),
    ("encoding", b'{"label": "\xff\xfe"}'),
    ("ragged", _record(50, features={name: [1.0] * (name > "b") for name in FEATURES})),
    ("duplicate_id", _record(3, label="swipe")),
]


@pytest.fixture(scope="module")
def clean_input(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("clean")
    for name, records in CLEAN.items():
        _write(folder / f"{name}.jsonl", records)
    return folder


@pytest.fixture(scope="module")
def clean(clean_input: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return _run(tmp_path_factory.mktemp("run") / "clean", train=f"{clean_input}/*.jsonl")


@pytest.fixture(scope="module")
def poisoned_input(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The clean records, and bad ones between them: before the first, after the last."""
    folder = tmp_path_factory.mktemp("poisoned")
    (_, first), *others = POISON
    # Default ids count lines: the file whose records have them gets its bad lines at the end.
    _write(folder / "one.jsonl", [first, *CLEAN["one"]])
    _write(folder / "two.jsonl", [*CLEAN["two"], *(line for _, line in others)])
    return folder


@pytest.fixture(scope="module")
def poisoned(poisoned_input: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("run") / "poisoned"
    return _run(folder, train=f"{poisoned_input}/*.jsonl", max_share=0.1)


def test_examples_read_back_as_the_records_that_went_in(clean: Place) -> None:
    written = {
        i: columns for split in clean.read_examples().values() for i, columns in split.items()
    }
    records = [record for name in CLEAN for record in CLEAN[name]]
    ids = [record.get("sequence_id") for record in records]
    ids[-2:] = DEFAULT_IDS
    assert written.keys() == set(ids)
    for sequence_id, record in zip(ids, records, strict=True):
        columns = written[sequence_id]
        for name, values in record["features"].items():
            expected = np.array(values, np.float64).astype(np.float32)
            np.testing.assert_array_equal(np.array(columns[name], np.float32), expected)
        steps = len(record["features"]["ax"])
        assert columns["length"] == [steps]
        assert columns["length_bucket"] == [length_bucket(steps).encode()]
        assert columns["entity_id"] == [record.get("entity_id", sequence_id).encode()]
        assert columns.get("label") == ([b"circle"] if "label" in record else None)
        bookkeeping = {"sequence_id", "entity_id", "length", "length_bucket"}
        assert columns.keys() - {"label"} == bookkeeping | set(FEATURES)


def test_a_null_is_nan_and_nothing_else_is(clean: Place) -> None:
    for columns in (c for split in clean.read_examples().values() for c in split.values()):
        number = (
            int(columns["sequence_id"][0][1:]) if columns["sequence_id"][0][:1] == b"s" else None
        )
        missing = np.isnan([columns[name] for name in FEATURES])
        if number is not None:
            assert missing.sum() == number % 2
            assert missing[FEATURES.index("heart_rate"), 0] == bool(number % 2)


def test_an_entity_stands_in_one_split_and_both_have_some(clean: Place) -> None:
    entities = {
        split: {columns["entity_id"][0].decode() for columns in found.values()}
        for split, found in clean.read_examples().items()
    }
    assert set(DEFAULT_IDS[:1]) | {"s37", "wearer-13"} <= set.union(*entities.values())
    assert entities["train"] and entities["eval"]
    assert not entities["train"] & entities["eval"]
    for split, found in entities.items():
        assert {split_of(entity, 0.2) for entity in found} == {split}


def test_the_account_is_true_to_the_files(clean: Place) -> None:
    account = clean.read_account()
    assert (account["read"], account["accepted"], account["quarantined"]) == (40, 40, 0)
    assert account["reasons"] == {}
    steps = sum(len(r["features"]["ax"]) for records in CLEAN.values() for r in records)
    assert sum(split["steps"] for split in account["splits"].values()) == steps
    for split, paths in clean.shards.items():
        found = account["splits"][split]
        columns = [_columns_of(record) for record in _records(paths)]
        assert found["sequences"] == len(columns)
        assert found["steps"] == sum(column[LENGTH][0] for column in columns)
        assert found["shards"] == [
            {
                "name": path.name,
                "records": sum(1 for _ in _records([path])),
                "bytes": len(path.read_bytes()),
                "sha256": sha256(path),
            }
            for path in paths
        ]


def test_the_artifact_says_its_splits(clean: Place) -> None:
    assert artifact_utils.decode_split_names(clean.examples.split_names) == list(SPLITS)
    assert clean.examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"


def test_nothing_rejected_leaves_no_quarantine(clean: Place) -> None:
    assert not clean.quarantine.exists()


def test_a_second_run_writes_the_same_bytes(
    clean: Place, clean_input: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    again = _run(tmp_path / "again", train=f"{clean_input}/*.jsonl")
    assert again.bytes == clean.bytes
    assert again.read_account() == clean.read_account()


def test_bad_records_change_no_byte_of_the_good_ones(clean: Place, poisoned: Place) -> None:
    assert poisoned.bytes == clean.bytes


def test_accepted_and_quarantined_add_up_to_read(poisoned: Place) -> None:
    account = poisoned.read_account()
    assert (account["read"], account["accepted"], account["quarantined"]) == (44, 40, 4)
    assert account["reasons"] == {"duplicate_id": 1, "encoding": 1, "json": 1, "ragged": 1}


def test_the_quarantine_names_code_file_line_and_text(
    poisoned: Place, poisoned_input: pathlib.Path
) -> None:
    found = {record["code"]: record for record in poisoned.read_quarantine()}
    one, two = (str(poisoned_input / f"{name}.jsonl") for name in ("one", "two"))
    places = {code: (record["file"], record["line"]) for code, record in found.items()}
    assert places == {
        "json": (one, 1),
        "encoding": (two, 21),
        "ragged": (two, 22),
        "duplicate_id": (two, 23),
    }
    assert found["json"]["text"] == '{"features":'
    assert found["encoding"]["text"] == '{"label": "\ufffd\ufffd"}'
    assert json.loads(found["ragged"]["text"]) == dict(POISON)["ragged"]
    assert found["duplicate_id"]["sequence_id"] == "s3"
    assert found["duplicate_id"]["detail"] == f"first at {one}, line 5"
    assert all(record["detail"] for record in found.values())


def test_of_one_id_in_two_files_the_first_is_kept(poisoned: Place) -> None:
    kept = [found["s3"] for found in poisoned.read_examples().values() if "s3" in found]
    assert [columns["label"] for columns in kept] == [[b"circle"]]


def test_a_long_line_is_cut_in_the_quarantine(tmp_path: pathlib.Path) -> None:
    source = _write(tmp_path / "in.jsonl", [*CLEAN["one"], b"x" * 5000])
    place = _run(tmp_path / "run", train=str(source), max_share=0.1)
    [record] = place.read_quarantine()
    assert record["text"] == "x" * 1000


def _fail(folder: pathlib.Path, **options: Any) -> BadDataError:
    with pytest.raises(BadDataError) as caught:
        _run(folder / "run", **options)
    # No account: whatever reads one knows that the run may go on.
    assert not (folder / "run" / "account" / ACCOUNT_FILE).exists()
    return caught.value


def test_too_many_bad_records_stop_the_run(
    poisoned_input: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    error = _fail(tmp_path, train=f"{poisoned_input}/*.jsonl", max_share=0.09)
    assert error.code == "quarantine"
    head, *lines, where = error.lines
    expected = "4 of 44 records were rejected (9.1%), more than quarantine.max_share = 9.0%"
    assert head == expected
    assert [line.split(": ")[0] for line in lines] == [
        "1 x duplicate_id",
        "1 x encoding",
        "1 x json",
        "1 x ragged",
    ]
    assert lines[2].startswith(f"1 x json: {poisoned_input}/one.jsonl, line 1: expected a JSON")
    kept = tmp_path / "run" / "quarantine" / RUN_ID / "rejected.jsonl"
    assert where == f"all of them: {kept}"
    assert len(kept.read_text().splitlines()) == 4


def _blank(folder: pathlib.Path) -> dict[str, str]:
    return {"train": str(_write(folder / "in.jsonl", [b"", b" "]))}


def _all_bad(folder: pathlib.Path) -> dict[str, Any]:
    return {"train": str(_write(folder / "in.jsonl", [b"{}"])), "max_share": 1.0}


def _one_entity(folder: pathlib.Path) -> dict[str, str]:
    return {"train": str(_write(folder / "in.jsonl", [_record(0), _record(1), _record(2)]))}


def _shared_entity(folder: pathlib.Path) -> dict[str, str]:
    train = _write(folder / "train.jsonl", [_record(0), _record(3), _record(9)])
    evaluation = _write(folder / "eval.jsonl", [_record(4), _record(6)])
    return {"train": str(train), "eval": str(evaluation)}


def _same_file(folder: pathlib.Path) -> dict[str, str]:
    path = str(_write(folder / "in.jsonl", [_without(r, "entity_id") for r in CLEAN["one"]]))
    return {"train": path, "eval": path}


def _broken(folder: pathlib.Path) -> dict[str, str]:
    return {"train": str(_write(folder / "in.jsonl.gz", CLEAN["one"]))}


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (_blank, "no_data", "expected at least one record, the input holds none"),
        (_one_entity, "insufficient_data", "the .* split is empty: .* received 3 in all"),
        (_all_bad, "insufficient_data", "the train split is empty: .* received 0 in all"),
        (
            _shared_entity,
            "entity_in_two_splits",
            r"1 x .*/eval\.jsonl, line 1: its entity is in train at .*/train\.jsonl, line 2",
        ),
        (_same_file, "quarantine", "20 of 40 records were rejected"),
        (_broken, "unreadable", r"in\.jsonl\.gz: zlib inflate failed"),
    ],
)
def test_data_that_cannot_be_used_stops_the_run(
    tmp_path: pathlib.Path,
    make: Callable[[pathlib.Path], dict[str, Any]],
    code: str,
    message: str,
) -> None:
    error = _fail(tmp_path, **make(tmp_path))
    assert error.code == code
    with pytest.raises(BadDataError, match=f"{code}: .*{message}"):
        raise error


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("*.jsonl", "no_input", "expected at least one file, found none"),
        (
            "in.dat",
            "unknown_format",
            r"in\.dat: neither its name \(expected one that ends in \.csv",
        ),
    ],
)
def test_input_that_is_not_there_stops_the_run(
    tmp_path: pathlib.Path, name: str, code: str, message: str
) -> None:
    _write(tmp_path / "in.dat", [b"1,2"])
    error = _fail(tmp_path, train=str(tmp_path / name))
    assert error.code == code
    with pytest.raises(BadDataError, match=message):
        raise error


@pytest.mark.skipif(
    not JAPANESE_VOWELS.is_dir(),
    reason=f"no folder {JAPANESE_VOWELS}: third-party data, not shipped",
)
def test_the_official_split_of_japanese_vowels(tmp_path: pathlib.Path) -> None:
    place = _run(
        tmp_path,
        schema="japanese_vowels",
        train=str(JAPANESE_VOWELS / "JapaneseVowels_TRAIN.ts"),
        eval=str(JAPANESE_VOWELS / "JapaneseVowels_TEST.ts"),
    )
    account = place.read_account()
    found = {name: (s["sequences"], s["steps"]) for name, s in account["splits"].items()}
    assert found == {"train": (270, 4274), "eval": (370, 5687)}
    assert (account["read"], account["quarantined"]) == (640, 0)
    examples = place.read_examples()
    first = examples["train"]["JapaneseVowels_TRAIN.ts:16"]
    np.testing.assert_array_equal(
        np.array(first["lpc_1"][:3], np.float32),
        np.array([1.860936, 1.891651, 1.939205], np.float32),
    )
    assert first["label"] == [b"1"]
    labels = [columns["label"][0] for columns in examples["train"].values()]
    assert {label: labels.count(label) for label in set(labels)} == {
        str(speaker).encode(): 30 for speaker in range(1, 10)
    }
