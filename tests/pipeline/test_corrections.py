"""`ragline init`: its arguments, and a person's word in place of a guess."""

import json
import pathlib

import pytest

from ragline.components.contract import exits
from ragline.components.contract.errors import UsageError
from ragline.pipeline import config
from ragline.pipeline.cli.main import main
from ragline.pipeline.onboard import inputs, plan

ROWS = [
    f"w{wearer},{recording},{step},{step * 7 % 5}.5,{'go' if step % 2 else 'stop'},"
    f"{'ab'[recording % 2]},{wearer * 5 + recording},n{wearer}{recording}{step}"
    for wearer in range(8)
    for recording in range(5)
    for step in range(4 + recording)
]
HEADER = "wearer,recording,step,ax,act,kind,trial,note"
FILES = {
    "names": ["a.csv", "b.csv"],
    "start": ["run_1.csv", "run_2.csv", "other.csv"],
    "below": ["x/a.csv", "y/b.csv"],
    "packed": ["a.csv.gz", "b.csv.gz", "README.md"],
    "hive": ["day=1/part-0.parquet", "day=2/part-0.parquet", "_SUCCESS", ".hidden.parquet"],
    "two": ["a.csv", "b.jsonl"],
    "odd": ["a.log", "b.log"],
    "none": ["README.md", "NOTES.txt.bak"],
}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    for name, files in FILES.items():
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "data").mkdir()
    half = len(ROWS) // 2
    for part, rows in (("0", ROWS[:half]), ("1", ROWS[half:])):
        (tmp_path / "data" / f"{part}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (["names"], "names/*.csv"),
        (["names/"], "names/*.csv"),
        (["names/*.csv"], "names/*.csv"),
        (["names/a.csv"], "names/a.csv"),
        (["names/a.csv", "names/b.csv"], "names/*.csv"),
        (["./names/b.csv", "names/a.csv"], "names/*.csv"),
        (["start/run_1.csv", "start/run_2.csv"], "start/run_*.csv"),
        (["below"], "below/**/*.csv"),
        (["below/x/a.csv", "below/y/b.csv"], "below/*/*.csv"),
        (["packed"], "packed/*.csv.gz"),
        (["hive"], "hive/**/*.parquet"),
        (["odd"], "odd/*.log"),
        (["store://bucket/x*.csv"], "store://bucket/x*.csv"),
    ],
    ids=str,
)
def test_what_is_given_is_one_pattern(folder, paths, pattern):
    assert inputs.pattern_of(paths) == pattern


@pytest.mark.parametrize(
    ("paths", "pattern", "line"),
    [
        ([], None, "init: expected files, a folder or a pattern, such as `ragline init data/`"),
        (["names"], "x", "--input: expected it or names of files, received both: names"),
        (["names", "below"], None, "expected one folder, or files, received 2 names with the fol"),
        (["empty"], None, "empty: expected files of data in the folder, found none"),
        (["two"], None, r"found several: give one, 'two/*.csv' (1 files), 'two/*.jsonl' (1 files)"),
        (["none"], None, "none: expected files that end in .csv, "),
        (["start/run_1.csv", "start/other.csv"], None, "init: no pattern names these 2 files alon"),
    ],
    ids=str,
)
def test_what_is_no_one_pattern_ends_in_a_sentence(folder, paths, pattern, line):
    with pytest.raises(UsageError) as caught:
        inputs.pattern_of(paths, pattern)
    assert line in str(caught.value)


def test_many_names_are_one_pattern_in_no_time(folder):
    (folder / "many").mkdir()
    names = [f"many/{n}.csv" for n in range(1000)]
    for name in names:
        pathlib.Path(name).touch()
    assert inputs.pattern_of(names) == "many/*.csv"


def _init(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[config.Config, str]:
    assert main(["init", "data/", "--output", "c.toml", *options]) == exits.DONE
    said = capsys.readouterr().err
    return config.load("c.toml"), said


def test_a_configuration_has_a_work_directory_of_its_own(folder):
    for name in ("one", "two"):
        assert main(["init", "data", "--output", name]) == exits.DONE
        assert config.load(f"{name}.toml").workdir == str(folder / f"{name}-run")
    assert main(["init", "data", "--name", "walks-7", "--output", "d.toml"]) == exits.DONE
    assert config.load("d.toml").name == "walks-7"
    assert main(["init", "data", "--name", "a b", "--output", "e"]) == exits.BAD_CONFIG


def test_what_is_not_used_is_listed_with_the_reason(folder, capsys):
    loaded, said = _init(capsys)
    assert "  not used: note\n" in said
    assert "  'note' is left out: " in said
    used = {*loaded.features, *loaded.input.group_by, loaded.input.order_by, loaded.input.entity}
    assert used | {"note"} >= {*HEADER.split(",")}


def test_columns_can_be_said(folder, capsys):
    loaded, said = _init(
        capsys, "--group-by", "trial", "--order-by", "step", "--entity", "wearer",
        "--label", "kind", "--drop", "note,recording", "--category", "act", "--numeric", "ax",
    )  # fmt: skip
    assert loaded.input.group_by == ("trial",)
    assert (loaded.input.order_by, loaded.input.entity) == ("step", "wearer")
    types = {name: feature.type for name, feature in loaded.features.items()}
    assert types == {"ax": "number", "act": "category", "kind": "context"}
    assert "  not used: recording, note\n" in said
    assert "'recording' is left out: --drop says so" in said
    assert said.count("says so") == 8  # The eighth is of `recording`.
    assert '# column = "kind"' in (folder / "c.toml").read_text()
    assert plan.plan_run(loaded).preview.accepted == 40


def test_a_number_can_be_a_category_and_several_names_stand_apart(folder, capsys):
    loaded, _ = _init(
        capsys, "--group-by=wearer", "--group-by", "recording", "--category", "ax", "--drop=trial"
    )
    assert loaded.input.group_by == ("wearer", "recording")
    assert loaded.features["ax"].type == "category"
    assert next(iter(loaded.features)) == "time_delta"  # No number is left.
    assert plan.plan_run(loaded).preview.accepted == 40


def test_a_label_is_that_of_the_head(folder, capsys):
    """Without a word, the head is on the first that it could learn."""
    header = f"site,{HEADER}"
    for part in "01":
        path = folder / "data" / f"{part}.csv"
        lines = path.read_text().splitlines()[1:]
        path.write_text("\n".join([header, *(f"s{line[1]},{line}" for line in lines)]) + "\n")
    _init(capsys)
    assert '# column = "site"' in (folder / "c.toml").read_text()
    (folder / "c.toml").unlink()
    _init(capsys, "--label", "kind")
    assert '# column = "kind"' in (folder / "c.toml").read_text()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--drop", "nte"], "--drop: expected a column, received 'nte'; did you mean 'note'?"),
        (["--label", "q,w"], "--label: expected a column, received 'q'; there are 'wearer', "),
        (["--label", "kind,act"], "--label: expected one column, received kind, act"),
        (["--label", "act"], "--label: expected one value a sequence, received 'act' with several"),
        (["--numeric", "act"], "--numeric: expected numbers, received 'act' of words, such as 'g"),
        (["--order-by", "act"], "--order-by: expected times or numbers, received 'act' of words"),
        (["--drop", "ax", "--numeric", "ax"], "--drop, --numeric: expected one of them to name '"),
        (["--drop", "ax,step,trial,recording"], "expected at least one column of numbers"),
    ],
    ids=str,
)
def test_a_word_that_cannot_be_is_refused_in_a_sentence(folder, capsys, options, line):
    assert main(["init", "data", "--output", "c.toml", *options]) == exits.BAD_CONFIG
    assert line in capsys.readouterr().err
    assert not (folder / "c.toml").exists()


def test_columns_of_records_can_be_said(folder, capsys):
    rows = "".join(
        f'{{"id": "r{i}", "x": [1, {i}.5], "b": [1, 2], "ward": {i % 3}}}\n' for i in range(90)
    )
    (folder / "a.jsonl").write_text(rows)
    options = ["--output", "c.toml", "--drop", "b", "--entity", "ward"]
    assert main(["init", "a.jsonl", *options]) == exits.DONE
    loaded = config.load("c.toml")
    assert ([*loaded.features], loaded.input.entity) == (["x"], "ward")
    assert loaded.input.id == "id"
    record = plan.plan_run(loaded).preview.encoded
    assert record["columns"]["sequence_id"]["values"][0].startswith("r")
    options[1] = "d.toml"
    assert main(["init", "a.jsonl", *options, "--group-by", "x"]) == exits.BAD_CONFIG
    assert "--group-by: expected one column of ids, since here a record is a sequence" in (
        capsys.readouterr().err
    )
    assert main(["init", "a.jsonl", *options, "--group-by", "id"]) == exits.DONE
    assert config.load("d.toml").input.id == "id"


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([f"s{i}" for i in range(30)], "stay"),
        (["s1", *(f"s{i}" for i in range(29))], None),  # One of them twice.
        ([f"a remark on {i}" for i in range(30)], None),
    ],
)
def test_text_that_no_two_records_share_is_their_id_under_any_name(folder, capsys, stays, expected):
    records = [{"stay": stay, "x": [1, n + 0.5]} for n, stay in enumerate(stays)]
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    assert main(["init", "a.jsonl", "--output", "c.toml"]) == exits.DONE
    assert config.load("c.toml").input.id == expected
    said = capsys.readouterr().err
    assert ("id 'stay': no two records have the same" in said) == (expected == "stay")
