"""`ragline neighbours`, `open`, `diff` and `doctor`: what they find, and what they refuse."""

import json
import pathlib
import webbrowser

import numpy as np
import pyarrow.parquet as pq
import pytest
import tomli_w
from reports import summary
from scipy.spatial.distance import cdist

from ragline.components.contract import exits
from ragline.components.contract.errors import UsageError
from ragline.components.ingest.output import sources
from ragline.pipeline.bulk import neighbours, parts
from ragline.pipeline.cli.main import main
from ragline.pipeline.onboard import doctor
from ragline.pipeline.report import run_diff
from ragline.pipeline.report.find_run import find

NUMBER, SIZE = 500, 7


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(NUMBER, SIZE)).astype(np.float32)
    vectors[11] = vectors[10]  # Two at the same point.
    return vectors


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory, vectors) -> pathlib.Path:
    """A folder as `ragline encode` leaves it: two parts, and windows of the sequence `long`."""
    folder = tmp_path_factory.mktemp("embeddings")
    ids = [f"s{i}" for i in range(NUMBER - 2)] + ["long[0:64]", "long[64:99]"]
    for part, rows in enumerate((slice(0, 300), slice(300, NUMBER))):
        chosen = ids[rows]
        table = parts.table(
            sequence_id=chosen,
            entity_id=[f"e{len(name)}" for name in chosen],
            window=np.array([[0, 5]] * len(chosen)),
            embedding=vectors[rows],
            error=np.full(len(chosen), 0.25, np.float32),
            version="3",
        )
        pq.write_table(table, folder / f"part-{part:05d}.parquet")
    (folder / "_summary.json").write_text("{}")
    return folder


@pytest.mark.parametrize("sequence", [0, 10, 11, 299, 300, 497])
def test_neighbours_are_those_of_scipy(embeddings, vectors, sequence):
    row, nearest = neighbours.find(neighbours.read(str(embeddings)), f"s{sequence}", 20)
    exact = vectors.astype(np.float64)
    distances = cdist(exact[[sequence]], exact)[0]
    distances[sequence] = -1
    order = np.argsort(distances, kind="stable")[1:21]
    assert row["sequence_id"] == f"s{sequence}"
    np.testing.assert_allclose([n["distance"] for n in nearest], distances[order], rtol=1e-12)
    expected = [f"s{i}" for i in order if i < NUMBER - 2]
    assert [n["sequence_id"] for n in nearest if "[" not in n["sequence_id"]] == expected


def test_neighbours_are_shown_with_labels_and_their_part(embeddings, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("entity_id,length,kind\ne2,1,two\ne3,2,three\n")
    arguments = ["neighbours", str(embeddings), "--id", "s10", "-k", "40"]
    arguments += ["--labels", str(tmp_path / "labels.csv")]
    assert main(arguments) == exits.DONE
    head, first, second, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "distance", "sequence_id", "entity_id", "length", "reconstruction_error", "part",
        "label_length", "kind",
    ]  # fmt: skip
    assert first.split() == ["0", "s10", "e3", "5", "0.25", "part-00000.parquet", "2", "three"]
    assert second.split()[:2] == ["0", "s11"]
    assert main([*arguments, "--json"]) == exits.DONE
    result = json.loads(capsys.readouterr().out)
    assert (len(result["neighbours"]), result["sequence"]["kind"]) == (40, "three")
    assert (
        main(["neighbours", str(embeddings / "part-00001.parquet"), "--id", "s400"]) == exits.DONE
    )
    assert "part" not in capsys.readouterr().out.splitlines()[0].split()


def test_neighbours_are_shown_with_where_they_came_from(embeddings, tmp_path, capsys):
    """By the table that ingest writes of its sources."""
    ids = [f"s{i}" for i in range(NUMBER - 2)]
    table = sources.table_of(ids, range(2, NUMBER), "data/a.csv")
    sources.write([table], tmp_path / "sources.parquet")
    arguments = ["neighbours", str(embeddings), "--id", "s10", "-k", "1", "--json"]
    assert main([*arguments, "--labels", str(tmp_path / "sources.parquet")]) == exits.DONE
    result = json.loads(capsys.readouterr().out)
    rows = [result["sequence"], *result["neighbours"]]
    assert [(row["file"], row["line"]) for row in rows] == [("data/a.csv", 12), ("data/a.csv", 13)]


@pytest.mark.parametrize(
    ("place", "sequence", "line"),
    [
        (
            ".",
            "s9999",
            "--id: expected one of 500 ids, such as 's0', received 's9999'; did you mean",
        ),
        (".", "long", "received 'long' of 2: long[0:64], long[64:99]"),
        ("..", "s1", "expected a folder that `ragline encode` wrote"),
        ("_summary.json", "s1", "_summary.json: expected a Parquet file"),
        ("none", "s1", "received nothing"),
    ],
)
def test_what_has_no_neighbours_is_said(embeddings, place, sequence, line):
    with pytest.raises(UsageError) as caught:
        neighbours.find(neighbours.read(str(embeddings / place)), sequence, 3)
    assert line in str(caught.value)


def test_labels_that_cannot_be_read_are_said(embeddings, tmp_path):
    for name, text in (("a.csv", "x,y\n1,2\n"), ("b.parquet", "no"), ("none.csv", None)):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(UsageError, match=rf"--labels: .*{name}: expected "):
            neighbours.labels(tmp_path / name)


@pytest.fixture
def runs(tmp_path) -> pathlib.Path:
    """A work directory with two runs, and the configuration beside it."""
    for number, epochs in (("1", 5), ("2", 9)):
        folder = tmp_path / "w" / "runs" / f"2026010{number}"
        folder.mkdir(parents=True)
        kept = summary()
        kept["metrics"]["overall"]["masked_mse"]["value"] = 0.5 / epochs
        kept["input"]["sequences"] += epochs
        if epochs == 9:
            kept["metrics"]["label=new"] = kept["metrics"]["overall"]
        (folder / "summary.json").write_text(json.dumps(kept))
        options = {"name": "n", "train": {"epochs": epochs}, "input": {"train": "x"}}
        (folder / "config.toml").write_text(tomli_w.dumps(options))
    (tmp_path / "w" / "runs" / "20260101" / "report.html").write_text("<p>")
    text = 'name = "n"\nschema = "gestures"\nworkdir = "w"\n[input]\ntrain = "x"\n'
    (tmp_path / "ragline.toml").write_text(text)
    return tmp_path


def test_a_run_is_found_by_configuration_work_directory_and_folder(runs):
    newest = runs / "w" / "runs" / "20260102"
    for source in (runs, runs / "ragline.toml", runs / "w", newest):
        assert find(str(source)) == newest
    assert find(str(runs), "report.html").name == "20260101"
    with pytest.raises(UsageError, match=r"expected the folder of a run, with none.txt in it"):
        find(str(runs), "none.txt")


def test_what_differs_between_runs(runs, capsys):
    before, after = (str(runs / "w" / "runs" / f"2026010{number}") for number in "12")
    assert main(["diff", before, after]) == exits.DONE
    shown = capsys.readouterr().out
    assert "  train.epochs: 5 -> 9\n" in shown
    assert "  input.sequences: 12350 -> 12354\n" in shown
    assert "Versions: the same\n" in shown
    assert "input.train" not in shown
    assert "Slices of the run after alone: label=new" in shown
    line = shown.split("Metrics, overall\n")[1].splitlines()[0]
    assert line.split() == ["masked_mse", "0.1", "->", "0.05556", "-0.044"]
    assert main(["diff", before, before, "--json"]) == exits.DONE
    same = json.loads(capsys.readouterr().out)
    assert (same["options"], same["data"], same["versions"]) == ({}, {}, {})
    assert {m["difference"] for s in same["metrics"].values() for m in s.values()} == {0.0}


def test_a_run_that_cannot_be_compared_is_said(runs):
    folder = runs / "w" / "runs" / "20260102"
    (folder / "config.toml").unlink()
    with pytest.raises(UsageError, match=r"config\.toml: expected the configuration that the run"):
        run_diff.diff(str(folder), str(folder))
    (folder / "summary.json").write_text("{")
    with pytest.raises(UsageError, match=r"summary\.json: expected the summary of a run"):
        run_diff.diff(str(folder), str(folder))


@pytest.mark.parametrize("has_browser", [True, False])
def test_the_newest_report_is_opened(runs, monkeypatch, capsys, has_browser):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or has_browser)
    assert main(["open", str(runs)]) == exits.DONE
    page = runs / "w" / "runs" / "20260101" / "report.html"
    out, said = capsys.readouterr()
    assert (out, opened) == (f"{page}\n", [page.as_uri()])
    assert ("no browser" in said) != has_browser
    assert main(["open", str(runs / "none")]) == exits.BAD_CONFIG


def test_the_doctor_finds_what_is_there_and_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == exits.DONE
    shown = capsys.readouterr().out
    for word in ("Python", "tensorflow", "memory", "processors", "disk", "ragline[export]"):
        assert word in shown
    assert shown.endswith("Nothing found that would stop a run.\n")
    asked = doctor.importlib.metadata.version

    def version(name: str) -> str:
        if name == "onnx":
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "tfx" else asked(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    assert main(["doctor", "--json"]) == exits.DEFECT
    findings = {f["what"]: f for f in json.loads(capsys.readouterr().out)}
    assert findings["ragline[export]"]["state"] == "onnx is missing"
    assert findings["ragline[export]"]["stops"] == "ragline export"
    assert findings["packages"]["state"] == "tfx 0.1, expected <1.22,>=1.21"
    assert "stops ragline run" in doctor.to_text(doctor.examine(tmp_path))


def test_the_doctor_sees_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    [disk] = [f for f in doctor.examine(tmp_path) if f.what == "disk"]
    assert "cannot be written to" in disk.state and disk.stops == "ragline run"
