"""Tests of ingest as the component runs it: files in, and what stands on the disk afterwards."""

import io
import json
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingest.whole_runs import IN_PROCESS, RUN_ID, Place, Record, columns_of, fail, records_of, run
from tfx.types import artifact_utils

from ragline.components.contract.columns import LENGTH, SPLITS, length_bucket, missing_bucket
from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import sha256
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.output import ingest_report
from ragline.components.ingest.records.splits import split_of
from ragline.components.ingest.source import raw_files, read_plan, units

FEATURES = ("ax", "ay", "az", "gz", "heart_rate", "saturation")
JAPANESE_VOWELS = pathlib.Path(__file__).parents[3] / "shared" / "data" / "japanese_vowels"


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
    return run(tmp_path_factory.mktemp("run") / "clean", train=f"{clean_input}/*.jsonl")


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
    return run(folder, train=f"{poisoned_input}/*.jsonl", max_share=0.1)


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
        missing = record["features"]["heart_rate"].count(None)
        bucket = missing_bucket(missing, steps * len(FEATURES))
        assert columns["missing_bucket"] == [bucket.encode()]
        bookkeeping = {"sequence_id", "entity_id", "length", "length_bucket", "missing_bucket"}
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
        split: {columns["entity_id"][0].decode() for columns in examples.values()}
        for split, examples in clean.read_examples().items()
    }
    assert set(DEFAULT_IDS[:1]) | {"s37", "wearer-13"} <= set.union(*entities.values())
    assert entities["train"] and entities["eval"]
    assert not entities["train"] & entities["eval"]
    for split, examples in entities.items():
        assert {split_of(entity, 0.2) for entity in examples} == {split}


def test_the_account_is_true_to_the_files(clean: Place) -> None:
    account = clean.read_account()
    assert (account["read"], account["accepted"], account["quarantined"]) == (40, 40, 0)
    assert account["reasons"] == {}
    steps = sum(len(r["features"]["ax"]) for records in CLEAN.values() for r in records)
    assert sum(split["steps"] for split in account["splits"].values()) == steps
    for split, paths in clean.shards.items():
        stated = account["splits"][split]
        columns = [columns_of(record) for record in records_of(paths)]
        assert stated["sequences"] == len(columns)
        assert stated["steps"] == sum(column[LENGTH][0] for column in columns)
        assert stated["shards"] == [
            {
                "name": path.name,
                "records": sum(1 for _ in records_of([path])),
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
    again = run(tmp_path / "again", train=f"{clean_input}/*.jsonl")
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
    quarantined = {record["code"]: record for record in poisoned.read_quarantine()}
    one, two = (str(poisoned_input / f"{name}.jsonl") for name in ("one", "two"))
    places = {code: (record["file"], record["line"]) for code, record in quarantined.items()}
    assert places == {
        "json": (one, 1),
        "encoding": (two, 21),
        "ragged": (two, 22),
        "duplicate_id": (two, 23),
    }
    assert quarantined["json"]["text"] == '{"features":'
    assert quarantined["encoding"]["text"] == '{"label": "\ufffd\ufffd"}'
    assert json.loads(quarantined["ragged"]["text"]) == dict(POISON)["ragged"]
    assert quarantined["duplicate_id"]["sequence_id"] == "s3"
    assert quarantined["duplicate_id"]["detail"] == f"first at {one}, line 5"
    assert all(record["detail"] for record in quarantined.values())


def test_too_many_bad_records_stop_the_run(
    poisoned_input: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    error = fail(tmp_path, train=f"{poisoned_input}/*.jsonl", max_share=0.09)
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


def _all_bad(folder: pathlib.Path) -> dict[str, Any]:
    return {"train": str(_write(folder / "in.jsonl", [b"{}"])), "max_share": 1.0}


def _shared_entity(folder: pathlib.Path) -> dict[str, str]:
    train = _write(folder / "train.jsonl", [_record(0), _record(3), _record(9)])
    evaluation = _write(folder / "eval.jsonl", [_record(4), _record(6)])
    return {"train": str(train), "eval": str(evaluation)}


def _same_file(folder: pathlib.Path) -> dict[str, str]:
    path = str(_write(folder / "in.jsonl", [_without(r, "entity_id") for r in CLEAN["one"]]))
    return {"train": path, "eval": path}


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (_all_bad, "insufficient_data", "the train split is empty: .* received 0 in all"),
        (
            _shared_entity,
            "entity_in_two_splits",
            r"1 x .*/eval\.jsonl, line 1: its entity is in train at .*/train\.jsonl, line 2",
        ),
        (_same_file, "quarantine", "20 of 40 records were rejected"),
    ],
)
def test_data_that_cannot_be_used_stops_the_run(
    tmp_path: pathlib.Path, make: Callable[[pathlib.Path], dict[str, Any]], code: str, message: str
) -> None:
    error = fail(tmp_path, **make(tmp_path))
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
    error = fail(tmp_path, train=str(tmp_path / name))
    assert error.code == code
    with pytest.raises(BadDataError, match=message):
        raise error


# Many units, policies, tables.


def _many_units(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(units, "UNIT_BYTES", 1500)


@pytest.mark.parametrize(
    "beam_arguments",
    [
        IN_PROCESS,
        (
            "--runner=DirectRunner",
            "--direct_running_mode=multi_processing",
            "--direct_num_workers=2",
            "--beam_plugin=ragline.components",
        ),
    ],
    ids=["in_memory", "two_processes"],
)
def test_many_units_hold_the_same_records_on_any_runner(
    poisoned: Place,
    poisoned_input: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    beam_arguments: tuple[str, ...],
) -> None:
    _many_units(monkeypatch)
    place = run(
        tmp_path, train=f"{poisoned_input}/*.jsonl", max_share=0.1, beam_arguments=beam_arguments
    )
    shards = place.read_account()["splits"]["train"]["shards"]
    assert len(shards) > 5
    assert [shard["name"] for shard in shards] == sorted(
        path.name for path in place.shards["train"]
    )
    for split in SPLITS:
        assert list(records_of(place.shards[split])) == list(records_of(poisoned.shards[split]))
    assert place.read_quarantine() == poisoned.read_quarantine()
    first, other = place.read_account(), poisoned.read_account()
    for stated in (first, other):
        for split in stated["splits"].values():
            del split["shards"]
    assert first == other


def test_the_features_are_told_in_the_account(clean: Place) -> None:
    account = clean.read_account()
    values = np.concatenate(
        [
            np.array([record["features"][name] for name in FEATURES], np.float64)
            for records in CLEAN.values()
            for record in records
        ],
        axis=1,
    ).astype(np.float32)
    for name, row in zip(FEATURES, values, strict=True):
        assert account["features"][name] == {
            "min": float(np.nanmin(row)),
            "max": float(np.nanmax(row)),
            "missing": int(np.isnan(row).sum()),
            "values": int((~np.isnan(row)).sum()),
        }
    assert account["constant_features"] == []
    assert (account["formats"], account["spans"]) == ({"jsonl": 2}, {})


def _spans(folder: pathlib.Path) -> str:
    """Three spans of 20 entities each, the same in all of them; values grow by the span."""
    for span in (1, 2, 10):
        lines = [
            _record(number, sequence_id=f"{span}-{number}", entity_id=f"e{number}")
            for number in range(20)
        ]
        for line in lines:
            line["features"]["ax"] = [float(span)] * len(line["features"]["ax"])
        _write(folder / f"span-{span}" / "a.jsonl", lines)
    return f"{folder}/span-{{SPAN}}/*.jsonl"


def test_a_window_of_spans_trains_on_all_and_evaluates_on_the_newest(
    tmp_path: pathlib.Path,
) -> None:
    pattern = _spans(tmp_path / "data")
    place = run(tmp_path / "out", train=pattern, spans=2)
    examples = place.read_examples()
    held_out = {f"e{number}" for number in range(20) if split_of(f"e{number}", 0.2) == "eval"}
    assert 0 < len(held_out) < 20
    assert set(examples["eval"]) == {f"10-{entity[1:]}" for entity in held_out}
    trained = {f"e{number}" for number in range(20)} - held_out
    assert set(examples["train"]) == {f"{span}-{e[1:]}" for span in (2, 10) for e in trained}
    account = place.read_account()
    assert account["read"] == account["accepted"] == 40
    assert account["policies"]["eval_of_older_spans"] == len(held_out)
    assert list(account["spans"]) == ["2", "10"]
    assert account["missing_spans"] == ["3..9"]
    written = {"2": 20 - len(held_out), "10": 20}
    for span, stats in account["spans"].items():
        assert stats["length"]["count"] == written[span]
        assert stats["features"]["ax"]["mean"] == float(span)
        assert stats["features"]["ax"]["m2"] == 0.0


def test_a_window_with_a_large_gap_stops_the_run(tmp_path: pathlib.Path) -> None:
    pattern = _spans(tmp_path / "data")
    with pytest.raises(BadDataError, match=r"span_gap: .*input.max_gap\), 7 are missing: 3..9"):
        run(tmp_path / "out", train=pattern, spans=2, max_gap=6)


def test_an_older_span_is_read_as_if_the_newer_were_not_there(tmp_path: pathlib.Path) -> None:
    pattern = _spans(tmp_path / "data")
    before = run(tmp_path / "before", train=pattern, spans=2, span=2)
    shutil.rmtree(tmp_path / "data" / "span-10")
    without = run(tmp_path / "without", train=pattern, spans=2)
    assert before.bytes == without.bytes
    assert list(before.read_account()["spans"]) == ["1", "2"]


def test_a_span_without_a_sequence_stops_the_run(tmp_path: pathlib.Path) -> None:
    pattern = _spans(tmp_path / "data")
    (tmp_path / "data" / "span-2" / "a.jsonl").write_bytes(b"")
    with pytest.raises(BadDataError, match=r"empty_span: .* received none of 2"):
        run(tmp_path / "out", train=pattern, spans=3)


def test_a_record_that_is_cut_is_one_record_of_several_sequences(
    clean_input: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    steps = {"max_length": 2, "too_long": "window", "min_length": 1}
    place = run(tmp_path, train=f"{clean_input}/*.jsonl", steps=steps)
    account = place.read_account()
    assert (account["read"], account["accepted"]) == (40, 40)
    lengths = [len(r["features"]["ax"]) for records in CLEAN.values() for r in records]
    windows = sum(-(-length // 2) for length in lengths)
    assert sum(split["sequences"] for split in account["splits"].values()) == windows
    assert sum(split["steps"] for split in account["splits"].values()) == sum(lengths)
    assert account["policies"]["windows"] == sum(-(-n // 2) for n in lengths if n > 2)
    examples = place.read_examples()
    [split] = [split for split in SPLITS if "s4[0:2]" in examples[split]]
    assert {"s4[0:2]", "s4[2:4]", "s4[4:5]"} <= examples[split].keys()
    assert examples[split]["s4[4:5]"]["entity_id"] == [b"wearer-1"]


def test_a_duplicate_can_stop_the_run(tmp_path: pathlib.Path) -> None:
    records = [*CLEAN["one"], _record(3)]
    source = _write(tmp_path / "in.jsonl", records)
    error = fail(tmp_path, train=str(source), duplicate_id="abort")
    assert error.code == "duplicate_id"
    assert error.lines[0] == f"1 x {source}, line 21: first at {source}, line 4"


def test_a_split_by_time_keeps_each_entity_on_one_side(tmp_path: pathlib.Path) -> None:
    records = []
    for number in range(20):
        record = _record(number, entity_id=f"e{number}")
        steps = len(record["features"]["ax"])
        record["features"]["at"] = [f"2024-05-{number + 1:02}T00:00:{s:02}" for s in range(steps)]
        records.append(record)
    records[17]["entity_id"] = "e2"
    source = _write(tmp_path / "in.jsonl", records)
    place = run(
        tmp_path / "run", train=str(source), max_share=0.1, order_by="at", eval_from="2024-05-16"
    )
    ids = {split: set(examples) for split, examples in place.read_examples().items()}
    assert ids["train"] == {f"s{number}" for number in range(15)}
    assert ids["eval"] == {f"s{number}" for number in (15, 16, 18, 19)}
    [refused] = place.read_quarantine()
    assert (refused["code"], refused["line"]) == ("entity_in_two_splits", 18)
    assert refused["detail"] == f"its entity is in train at {source}, line 3"


def _long_table(folder: pathlib.Path) -> pathlib.Path:
    """The clean records with an id, a row a step, dealt to three files."""
    lines: list[list[str]] = [[], [], []]
    for number in range(36):
        record = _record(number)
        for step in range(len(record["features"]["ax"])):
            cells = [record["features"][name][step] for name in FEATURES]
            texts = ["NaN" if cell is None else repr(cell) for cell in cells]
            row = [record["sequence_id"], record["entity_id"], str(step), *texts, "circle"]
            lines[(number + step) % 3].append(",".join(row))
    header = ",".join(["id", "wearer", "at", *FEATURES, "label"])
    for place, rows in enumerate(lines):
        _write(folder / f"{place}.csv", [line.encode() for line in (header, *rows[::-1])])
    return folder


def test_a_long_table_gives_the_sequences_that_nested_rows_give(
    clean: Place, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _long_table(tmp_path / "in")
    options = {"group_by": ["id"], "order_by": "at", "entity": "wearer"}
    whole = run(tmp_path / "one", train=f"{table}/*.csv", **options)
    _many_units(monkeypatch)
    spread = run(tmp_path / "many", train=f"{table}/*.csv", **options)
    assert len(spread.shards["train"]) > 1
    expected = clean.read_examples()
    for place in (whole, spread):
        account = place.read_account()
        steps = sum(number % 5 + 1 for number in range(36))
        assert (account["read"], account["accepted"]) == (36, 36)
        assert account["rows"] == {"read": steps, "accepted": steps, "quarantined": 0}
        for split, examples in place.read_examples().items():
            for name, columns in examples.items():
                np.testing.assert_equal(columns, expected[split][name])


def test_one_bad_row_rejects_its_whole_sequence(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _long_table(tmp_path / "in")
    with (table / "1.csv").open("a") as file:
        file.write("s4,wearer-1,9,1,2,3,x,5,6,circle\n,,1,1,2,3,4,5,6,circle\n")
    _many_units(monkeypatch)
    place = run(
        tmp_path / "run",
        train=f"{table}/*.csv",
        max_share=0.1,
        group_by=["id"],
        order_by="at",
        entity="wearer",
    )
    account = place.read_account()
    assert (account["read"], account["accepted"], account["quarantined"]) == (37, 35, 2)
    read = account["rows"]["read"]
    # The five steps of s4 and its bad row; and the row of no sequence.
    assert account["rows"] == {"read": read, "accepted": read - 7, "quarantined": 7}
    assert not any("s4" in examples for examples in place.read_examples().values())
    refused = {record["sequence_id"]: record for record in place.read_quarantine()}
    assert refused.keys() == {"s4", None}
    assert refused["s4"]["code"] == "number_format"
    assert refused["s4"]["file"] == str(table / "1.csv")


@pytest.mark.skipif(
    not JAPANESE_VOWELS.is_dir(),
    reason=f"no folder {JAPANESE_VOWELS}: third-party data, not shipped",
)
def test_the_official_split_of_japanese_vowels(tmp_path: pathlib.Path) -> None:
    place = run(
        tmp_path,
        schema="japanese_vowels",
        train=str(JAPANESE_VOWELS / "JapaneseVowels_TRAIN.ts"),
        eval=str(JAPANESE_VOWELS / "JapaneseVowels_TEST.ts"),
    )
    account = place.read_account()
    counts = {name: (s["sequences"], s["steps"]) for name, s in account["splits"].items()}
    assert counts == {"train": (270, 4274), "eval": (370, 5687)}
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


@pytest.fixture
def input_of_two(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("one", "two"):
        _write(tmp_path / "input" / f"{name}.jsonl", CLEAN[name])
    return tmp_path / "input"


def test_files_that_are_others_than_when_the_run_began_are_refused(input_of_two, tmp_path) -> None:
    pattern = f"{input_of_two}/*.jsonl"
    began = read_plan.fingerprint(InputOptions(train=pattern))
    _write(input_of_two / "three.jsonl", [_record(70)])
    with pytest.raises(BadDataError, match=r"changed_input: .*there when the run began"):
        run(tmp_path / "run", train=pattern, fingerprint=began)
    assert not list((tmp_path / "run" / "examples").rglob("*.gz"))


@pytest.mark.parametrize("back", [False, True])
def test_a_file_that_changes_while_it_is_read_is_refused(
    input_of_two, tmp_path, monkeypatch, back
) -> None:
    """Be it changed back, with the times that it had: a cache would hold what is not there."""
    file = input_of_two / "one.jsonl"
    content, times = file.read_bytes(), file.stat()
    made = read_plan.make

    def change(*arguments: Any) -> read_plan.ReadPlan:
        """Between the hash and the reading, and, if it is to be, before the end."""
        file.write_bytes(b"".join(content.splitlines(keepends=True)[:15]))
        return made(*arguments)

    def reconcile(*arguments: Any) -> dict[str, Any]:
        if back:
            file.write_bytes(content)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        return reconciled(*arguments)

    reconciled = ingest_report.reconcile
    monkeypatch.setattr(read_plan, "make", change)
    monkeypatch.setattr(ingest_report, "reconcile", reconcile)
    with pytest.raises(BadDataError, match=f"changed_input: {file}: expected a file that nobody"):
        run(tmp_path / "run", train=f"{input_of_two}/*.jsonl")
    assert not (tmp_path / "run" / "account" / "account.json").exists()


def test_a_file_is_hashed_again_once_it_was_touched_and_not_before(tmp_path, monkeypatch) -> None:
    file = _write(tmp_path / "a.jsonl", [_record(1)])
    old = time.time_ns() - 10**10
    opened = []
    real = raw_files.places.open
    monkeypatch.setattr(raw_files.places, "open", lambda path: opened.append(path) or real(path))
    monkeypatch.setattr(raw_files, "_TICK", 0)
    first = raw_files.fingerprint([str(file)])
    assert raw_files.fingerprint([str(file)]) == first
    assert len(opened) == 1
    os.utime(file, ns=(old, old))
    assert raw_files.fingerprint([str(file)]) == first
    assert len(opened) == 2
    monkeypatch.setattr(raw_files, "_TICK", 10**10)
    _write(file, [_record(2)])
    assert raw_files.fingerprint([str(file)]) != first
    raw_files.fingerprint([str(file)])
    assert len(opened) == 4, "a second change within a tick of the clock would not show"


@pytest.mark.parametrize(("written", "reads"), [("long ago", 1), ("just now", 2), ("never", 2)])
def test_an_object_is_hashed_once_if_a_change_of_it_would_show(
    written: str, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"long ago": time.time() - 3600, "just now": time.time() - 60, "never": 0.0}[written]
    opened = []
    monkeypatch.setattr(raw_files.places, "stamp", lambda path: (4, seconds))
    monkeypatch.setattr(
        raw_files.places, "open", lambda path: opened.append(path) or io.BytesIO(b"data")
    )
    path = f"s3://bucket/{written}"
    assert raw_files.fingerprint([path]) == raw_files.fingerprint([path])
    assert len(opened) == reads
