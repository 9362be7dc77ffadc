"""`ragline init`: what it guesses, and that what it writes works as it is."""

import itertools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragline.components.contract import exits
from ragline.pipeline import config
from ragline.pipeline.cli.main import main
from ragline.pipeline.onboard import guess, init, plan
from ragline.pipeline.onboard.guessing import cells

Rows = list[dict[str, Any]]


def _walks(**extra: Callable[[int, int, int], Any]) -> Rows:
    """8 wearers with 5 recordings each, of 4 to 12 rows."""
    random = np.random.default_rng(0)
    rows = []
    for wearer in range(8):
        for recording in range(5):
            for step in range(int(random.integers(4, 13))):
                row = {
                    "wearer": f"w{wearer}",
                    "recording": recording,
                    "t": step / 50,
                    "ax": round(random.normal(), 3),
                    "label": ("circle", "line")[recording % 2],
                }
                rows.append(row | {k: f(wearer, recording, step) for k, f in extra.items()})
    return rows


def _csv(rows: Rows, delimiter: str = ",") -> str:
    lines = [rows[0].keys(), *(row.values() for row in rows)]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines)


def _init(folder: pathlib.Path, pattern: str) -> init.Written:
    return init.write(str(folder / pattern), folder / "ragline.toml")


def _of(folder: pathlib.Path, rows: Rows) -> guess.Guess:
    (folder / "a.csv").write_text(_csv(rows))
    return _init(folder, "*.csv").guess


def test_a_folder_of_csvs_works_with_no_edit(tmp_path, monkeypatch, capsys):
    rows = _walks(temp=lambda w, r, t: "" if t == 2 else 36.5 + t / 10)
    for part in range(2):
        (tmp_path / f"{part}.csv").write_text(_csv(rows[part * 160 : part * 160 + 160]))
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--input", "*.csv"]) == exits.DONE
    message = capsys.readouterr().err
    assert "group_by 'wearer', 'recording': 'recording' starts again in each 'wearer'" in message
    loaded = config.load("ragline.toml")
    assert loaded.input.group_by == ("wearer", "recording")
    assert (loaded.input.order_by, loaded.input.entity) == ("t", "wearer")
    assert loaded.input.missing_text == ("",)
    columns = config.read_contract(loaded).columns
    assert columns.names == ("ax", "temp")
    assert [feature.allow_missing for feature in columns.features] == [False, True]
    assert columns.context == {"label": "bytes"}
    preview = plan.plan_run(loaded).preview
    assert (preview.read, preview.accepted) == (40, 40)
    assert preview.columns[1].missing == 40


def _a_file_a_run(folder: pathlib.Path, wearers: int | None = None) -> None:
    """10 files of a run each, of 20 rows; with a phase in blocks, the same in every file."""
    random = np.random.default_rng(0)
    for run in range(10):
        rows = []
        for step in range(20):
            row = {"t": step / 50, "ax": round(random.normal(), 3), "phase": step // 7}
            rows.append(row | ({"wearer": f"w{run % wearers}"} if wearers else {}))
        (folder / f"run_{run}.csv").write_text(_csv(rows))


def test_a_file_is_a_sequence_where_no_column_names_one(tmp_path, monkeypatch, capsys):
    _a_file_a_run(tmp_path)
    (tmp_path / "run_x.csv").write_text("t,ax,phase\n")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--input", "*.csv"]) == exits.DONE
    assert "group_by '{FILE}': no column names a row's sequence" in capsys.readouterr().err
    preview = plan.plan_run(config.load("ragline.toml", ["quarantine.max_share=0.1"])).preview
    assert (preview.read, preview.accepted) == (11, 10)
    assert [bad.code for bad in preview.bad] == ["empty"]


def test_a_wearer_of_several_files_is_an_entity_and_no_sequence(tmp_path):
    _a_file_a_run(tmp_path, wearers=4)
    guess = _init(tmp_path, "*.csv").guess
    assert (guess.group_by, guess.entity) == (("{FILE}",), "wearer")
    assert set(guess.features) == {"ax", "phase"}


def test_the_rows_of_a_sequence_may_stand_in_two_files(tmp_path):
    rows = [{"code": n // 30, "ax": n % 7} for n in range(300)]
    for part in range(2):
        (tmp_path / f"{part}.csv").write_text(_csv(rows[part * 140 : part * 160 + 140]))
    assert _init(tmp_path, "*.csv").guess.group_by == ("code",)


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(_csv(_walks()))
    arguments = ["init", "--input", f"{tmp_path}/*.csv", "--output", str(tmp_path / "c.toml")]
    (tmp_path / "c.toml").write_text("mine")
    assert main(arguments) == exits.BAD_CONFIG
    assert "c.toml: is there already" in capsys.readouterr().err
    assert (tmp_path / "c.toml").read_text() == "mine"
    (tmp_path / "c.toml").unlink()
    assert main(arguments) == exits.DONE
    assert main(arguments) == exits.BAD_CONFIG


def test_a_format_can_be_stated(tmp_path, capsys):
    (tmp_path / "a.log").write_text("{}\n" + "".join('{"x": [1, 2.5]}\n' for _ in range(9)))
    arguments = ["init", "--input", f"{tmp_path}/a.log", "--output", f"{tmp_path}/c.toml"]
    assert main([*arguments, "--format", "jsonl"]) == exits.DONE
    assert config.load(tmp_path / "c.toml").input.format == "jsonl"
    capsys.readouterr()
    arguments[-1] = f"{tmp_path}/d.toml"
    assert main([*arguments, "--format", "tfrecord"]) == exits.BAD_DATA
    assert "TFRecord of tf.Example is in ragline's own contract" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--format", "log"])
    assert "invalid choice: 'log' (choose from 'auto', 'csv', " in capsys.readouterr().err


def test_what_cannot_be_read_is_not_blamed_on_the_output(tmp_path, capsys):
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "b.csv").write_text("id,x\n1,2\n")
    (tmp_path / "b.csv").chmod(0)
    for name in ("a.csv", "b.csv", "c.csv"):
        arguments = ["init", "--input", str(tmp_path / name), "--output", f"{tmp_path}/c.toml"]
        assert main(arguments) in (exits.BAD_CONFIG, exits.BAD_DATA)
        said = capsys.readouterr().err
        assert name in said or "name" in said
        assert "--output" not in said


def test_no_file_is_bad_data(tmp_path, capsys):
    assert main(["init", "--input", f"{tmp_path}/*.csv", "--output", "x"]) == exits.BAD_DATA
    assert "no_input" in capsys.readouterr().err


def test_ids_that_are_unique_need_no_entity_beside_them(tmp_path):
    guess = _of(tmp_path, _walks(session=lambda w, r, t: f"s{w}-{r}"))
    assert (guess.group_by, guess.entity) == (("session",), "wearer")


def test_an_entity_alone_is_the_sequence(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "recording"} for row in _walks()]
    guess = _of(tmp_path, rows)
    assert (guess.group_by, guess.entity) == (("wearer",), None)
    # The label changes within what is a sequence now.
    assert guess.categories == {"label": "bytes"}


def test_without_a_name_blocks_of_rows_tell(tmp_path):
    rows = [{"foo": f"f{row['wearer']}{row['recording']}", "ax": row["ax"]} for row in _walks()]
    guess = _of(tmp_path, rows)
    assert guess.group_by == ("foo",)
    assert guess.order_by is None


def test_a_table_without_sequences_is_refused_with_a_sentence(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("t,x\n0,1.5\n1,2.5\n2,3.5\n")
    assert main(["init", "--input", f"{tmp_path}/a.csv", "--output", f"{tmp_path}/c"]) == 2
    assert "expected a column that names each row's sequence" in capsys.readouterr().err


def test_a_row_id_is_no_sequence(tmp_path):
    number = iter(range(10_000))
    guess = _of(tmp_path, _walks(id=lambda w, r, t: next(number)))
    assert guess.group_by == ("wearer", "recording")


@pytest.mark.parametrize(
    ("column", "values", "unit"),
    [
        ("timestamp", lambda w, r, t: 1_700_000_000 + t, "s"),
        ("timestamp", lambda w, r, t: 1_700_000_000_000 + t, "ms"),
        ("timestamp", lambda w, r, t: 1_700_000_000_000_000 + t, "us"),
        ("timestamp", lambda w, r, t: 1_700_000_000_000_000_000 + t, "ns"),
        ("time_ms", lambda w, r, t: 20 * t, "ms"),
        ("when", lambda w, r, t: f"2026-05-01T09:00:{t:02}Z", "s"),
    ],
)
def test_the_unit_of_time(tmp_path, column, values, unit):
    rows = [{k: v for k, v in row.items() if k != "t"} for row in _walks(**{column: values})]
    guess = _of(tmp_path, rows)
    assert (guess.order_by, guess.time_unit) == (column, unit)


@pytest.mark.parametrize(
    ("column", "distances", "resample"),
    [
        ("t", [0.5, 1.0, 2.0], 1.0),
        ("time_ms", [30, 40, 60], 0.04),
        ("when", [1, 2, 4], 2.0),
        ("t", [0.98, 1.0, 1.03], None),  # A clock that trembles is regular.
        ("t", [0.01, 1.0, 500.0], None),  # Bursts are events, not samples of a signal.
    ],
)
def test_of_irregular_times_a_distance_is_suggested(tmp_path, column, distances, resample):
    def time(step: int) -> str:
        seconds = sum(distances[place % 3] for place in range(step))
        return f"2026-05-01T09:00:{seconds:02}Z" if column == "when" else f"{seconds}"

    rows = [{k: v for k, v in row.items() if k != "t"} for row in _walks()]
    rows = [
        {column: time(step), **row}
        for _, steps in itertools.groupby(rows, lambda row: (row["wearer"], row["recording"]))
        for step, row in enumerate(steps)
    ]
    guess = _of(tmp_path, rows)
    assert (guess.order_by, guess.resample) == (column, resample)
    assert any("would make that regular" in sentence for sentence in guess.why) == bool(resample)
    text = (tmp_path / "ragline.toml").read_text()
    assert f"# resample = {resample or 1.0} " in text


def test_what_a_column_is(tmp_path):
    guess = _of(
        tmp_path,
        _walks(
            activity=lambda w, r, t: ("go", "stop")[t % 2],
            age=lambda w, r, t: 30 + w % 3,
            weight=lambda w, r, t: 60.5 + w % 4,
            note=lambda w, r, t: f"free text {w} {r}",
            ok=lambda w, r, t: ("true", "false")[t % 2],
            site=lambda w, r, t: "here",
            gap=lambda w, r, t: "",
            pulse=lambda w, r, t: 60 + t,
        ),
    )
    assert guess.features == {"ax": False, "pulse": False}
    assert guess.categories == {"activity": "bytes"}
    assert {context.name: context.kind for context in guess.context} == {
        "label": "bytes", "age": "int", "weight": "float",
    }  # fmt: skip
    assert [*guess.unused] == ["note", "ok", "site", "gap"]


def test_a_column_with_a_few_giants_is_transformed_and_it_is_said(tmp_path, capsys):
    """One of many sizes, but without giants, is not; nor one that the transform changes little."""
    random = np.random.default_rng(0)
    rows = []
    for sequence in range(50):
        for step in range(40):
            giant = random.random() < 0.003
            rows.append(
                {
                    "sequence": f"s{sequence}",
                    "step": step,
                    "amount": round(random.normal() * (1e4 if giant else 3.0), 3),
                    "wait": round(random.exponential(), 4),
                    "small": 1e-9 * (1e4 if giant else 1.0) * random.random(),
                    "alarm": int(giant),
                }
            )
    (tmp_path / "a.csv").write_text(_csv(rows))
    assert main(["init", str(tmp_path / "a.csv"), "--output", str(tmp_path / "c.toml")]) == 0
    said = capsys.readouterr().err
    assert "feature 'amount': transform 'signed_log', since 1% of its values carry 100% of" in said
    assert said.count("transform") == 1
    text = (tmp_path / "c.toml").read_text()
    line = 'amount = { type = "number", transform = "signed_log" }  # 1% of its values are giants'
    assert line in text.splitlines()
    columns = config.read_contract(config.load(tmp_path / "c.toml")).columns
    chosen = dict(zip(columns.names, columns.transforms, strict=True))
    assert {name for name, transform in chosen.items() if transform != "none"} == {"amount"}
    assert {"wait", "small", "alarm"} < {*chosen}


def test_a_mistake_in_a_column_of_numbers_makes_no_text_of_it(tmp_path):
    rows = _walks()
    rows[7]["ax"] = "oops"
    guess = _of(tmp_path, rows)
    assert guess.features == {"ax": False}
    assert any("no numbers, such as 'oops'" in sentence for sentence in guess.why)


@pytest.mark.parametrize("name", ['a"b', "größe", "with space", "back\\slash", "a#b", "length"])
def test_any_name_of_a_column_can_be_written(tmp_path, name):
    rows = _walks(**{name: lambda w, r, t: t + 0.5})
    (tmp_path / "a.csv").write_text(_csv(rows).replace('a"b', '"a""b"'))
    written = _init(tmp_path, "*.csv")
    loaded = config.load(written.config)
    expected = ("ax",) if name == "length" else ("ax", name)
    assert config.read_contract(loaded).columns.names == expected
    assert plan.plan_run(loaded).preview.accepted == 40


def _records(rows: Rows) -> list[dict[str, Any]]:
    records: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = f"{row['wearer']}-{row['recording']}"
        record = records.setdefault(
            key, {"sequence_id": key, "wearer": row["wearer"], "label": row["label"], "t": []}
        )
        record["t"].append(row["t"])
        record.setdefault("ax", []).append(row["ax"])
    return [*records.values()]


def _xes(records: list[dict[str, Any]]) -> str:
    traces = []
    for record in records:
        events = "".join(
            f'<event><string key="act" value="{"go" if x > 0 else "stop"}"/><float key="ax" '
            f'value="{x}"/><date key="time:timestamp" value="2026-05-01T09:00:{i:02}Z"/></event>'
            for i, x in enumerate(record["ax"])
        )
        own = f'<string key="concept:name" value="{record["sequence_id"]}"/>'
        own += f'<string key="wearer" value="{record["wearer"]}"/>'
        own += f'<string key="label" value="{record["label"]}"/>'
        traces.append(f"<trace>{own}{events}</trace>")
    return f"<log>{''.join(traces)}</log>"


def _npz(path: pathlib.Path, records: list[dict[str, Any]]) -> None:
    np.savez(
        path,
        ax=np.concatenate([record["ax"] for record in records]),
        t=np.concatenate([record["t"] for record in records]),
        length=[len(record["ax"]) for record in records],
        label=[record["label"] for record in records],
        sequence_id=[record["sequence_id"] for record in records],
        wearer=[record["wearer"] for record in records],
    )


RECORDS = _records(_walks())
WRITERS: dict[str, Callable[[pathlib.Path], Any]] = {
    "semicolon.csv": lambda path: path.write_text(_csv(_walks(), ";")),
    "long.parquet": lambda path: pq.write_table(pa.Table.from_pylist(_walks()), path),
    "nested.parquet": lambda path: pq.write_table(pa.Table.from_pylist(RECORDS), path),
    "lines.jsonl": lambda path: path.write_text("".join(json.dumps(r) + "\n" for r in RECORDS)),
    "flat.npz": lambda path: _npz(path, RECORDS),
    "log.xes": lambda path: path.write_text(_xes(RECORDS)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_works_with_no_edit(tmp_path, name):
    WRITERS[name](tmp_path / name)
    written = _init(tmp_path, name)
    loaded = config.load(written.config)
    assert loaded.input.entity == "wearer"
    assert loaded.input.order_by == ("time:timestamp" if name == "log.xes" else "t")
    columns = config.read_contract(loaded).columns
    assert (columns.names, columns.context) == (("ax",), {"label": "bytes"})
    preview = plan.plan_run(loaded).preview
    assert (preview.read, preview.accepted) == (40, 40)
    assert sum(preview.entities.values()) == 8
    assert preview.context["label"] == {"circle": 24, "line": 16}


@pytest.mark.parametrize(
    ("header", "last", "name"),
    [
        ("@classLabel true 1 2", "1", "label"),
        ("@targetLabel true", "0.5", "target"),
        ("@classLabel false", None, None),
    ],
)
def test_the_archives_format_has_no_names(tmp_path, header, last, name):
    lines = [
        ":".join(["0.1,0.2,?", "5,6,7", *([] if last is None else [str(float(last) + i % 2)])])
        for i in range(40)
    ]
    text = "\n".join(["@problemName x", "@dimensions 2", header, "@data", *lines, ""])
    (tmp_path / "a.ts").write_text(text.replace(".0\n", "\n") if name == "label" else text)
    loaded = config.load(_init(tmp_path, "a.ts").config)
    columns = config.read_contract(loaded).columns
    assert columns.names == ("feature_0", "feature_1")
    assert [feature.allow_missing for feature in columns.features] == [True, False]
    assert [*columns.context] == ([] if name is None else [name])
    assert plan.plan_run(loaded).preview.accepted == 40


def test_what_only_stands_in_structs_is_named(tmp_path):
    """Of a table, no column is a number: the sentence names those that hold some."""
    pressure = pa.array([{"sys": 1.0 * step, "dia": 2.0} for step in range(40)])
    table = pa.table({"id": [f"u{step // 5}" for step in range(40)], "bp": pressure})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(guess.GuessError, match=r"'bp' is left out: struct<.*write its fields as"):
        _init(tmp_path, "*.parquet")


@pytest.mark.parametrize("kind", [pa.int64(), pa.duration("ns")])
def test_times_that_float64_cannot_hold_exactly_order_steps(kind):
    column = cells.of(pa.array([1_700_000_319_037_680_029, 1_700_000_320_037_680_029], kind))
    [apart] = np.diff(column.nanoseconds())
    assert apart == pytest.approx(1e9 if kind == pa.int64() else 1, rel=1e-6)


def test_what_is_constant_in_a_sample_alone_is_kept():
    """What was not looked at may be other; a run says so if it is constant after all."""
    columns = {
        name: cells.of(pa.array(values))
        for name, values in {
            "run": [i // 5 for i in range(100)],
            "x": [i / 7 for i in range(100)],
            "valve": [0.0] * 100,
        }.items()
    }
    sampled = guess.guess_table(columns, complete=False)
    assert sampled.features == {"x": True, "valve": True}
    assert "feature 'valve': it is 0.0 in every row, not in all" in sampled.why
    whole = guess.guess_table(columns)
    assert (whole.features, [*whole.unused]) == ({"x": False}, ["valve"])


def test_a_name_that_a_run_would_refuse_is_left_out_with_the_reason(tmp_path):
    rows = _walks(
        values=lambda w, r, t: "ab"[r % 2],
        observed=lambda w, r, t: ("go", "stop")[t % 2],
        **{
            "a b": lambda w, r, t: ("go", "stop")[t % 2],
            "a-b": lambda w, r, t: ("stop", "go")[t % 2],
        },
    )
    guess = _of(tmp_path, rows)
    assert [*guess.unused] == ["observed", "values", "a-b"]
    assert guess.categories == {"a b": "bytes"}
    assert [context.name for context in guess.context] == ["label"]
    assert plan.plan_run(config.load(tmp_path / "ragline.toml")).preview.accepted == 40
