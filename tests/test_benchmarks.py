"""The benchmarks run, on a sample; how fast is for a quiet machine to say."""

import pytest
from commands import ROOT, python

from benchmarks import scale


def test_the_page_on_scale_holds_what_its_script_computes() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    for table in scale.tables():
        assert table in page, "stale: take the tables of `python -m benchmarks.scale`"


@pytest.mark.full
def test_the_benchmark_of_ingest_prints_a_row() -> None:
    sample = ("--formats", "jsonl", "--sizes", "300", "--repeats", "1")
    done = python("-m", "benchmarks.ingest", *sample)
    assert done.returncode == 0, done.stderr
    header, line, row = done.stdout.splitlines()[-3:]
    assert header.count("|") == line.count("|") == row.count("|")
    name, sequences, *figures = (cell.strip() for cell in row.strip("|").split("|"))
    assert (name, sequences) == ("jsonl", "300")
    *_, floor, one, two = (float(figure.replace(",", "")) for figure in figures)
    assert min(floor, one, two) > 0, "each side has a peak of memory"


@pytest.mark.full
def test_the_benchmark_of_encode_prints_a_row_for_each_side(encoder) -> None:
    """It also holds the embeddings of all sides against each other."""
    sample = ("--encoder", str(encoder), "--sequences", "40", "--repeats", "1")
    done = python("-m", "benchmarks.encode", *sample)
    assert done.returncode == 0, done.stderr
    header, line, *rows = done.stdout.splitlines()
    assert len({row.count("|") for row in (header, line, *rows)}) == 1
    sides = [row.split("|")[1].strip() for row in rows]
    assert sides == ["ragline encode", "loop, sorted by length", "loop, as in the file"]


def test_the_benchmark_of_runtimes_prints_a_row_of_equal_embeddings() -> None:
    """It ends with a sentence if the sides' embeddings differ."""
    sample = ("--units", "4", "--threads", "2", "--sequences", "50", "--turns", "1")
    done = python("-m", "benchmarks.runtimes", *sample, "--seconds", "0", "--torch", "none")
    assert done.returncode == 0, done.stderr
    header, line, row = done.stdout.splitlines()[-3:]
    assert header.count("|") == line.count("|") == row.count("|")
    names, cells = ([c.strip() for c in text.strip("|").split("|")] for text in (header, row))
    figures = dict(zip(names, cells, strict=True))
    assert (figures["lengths"], figures["H"], figures["torch"]) == ("log-normal", "4", "-")
    for name in ("ragline", "openvino", "CPU, onnxruntime"):
        assert float(figures[name].replace(",", "")) > 0


@pytest.mark.full
def test_the_benchmark_of_training_prints_a_row_whose_curves_coincide() -> None:
    """Beside Keras; PyTorch is no part of the environment that tests run in."""
    done = python("-m", "benchmarks.train", "--quick", "--torch", "none")
    assert done.returncode == 0, done.stderr
    header, _, row = done.stdout.splitlines()[-3:]
    names = [cell.strip() for cell in header.strip("|").split("|")]
    cells = dict(zip(names, (cell.strip() for cell in row.strip("|").split("|")), strict=True))
    assert (cells["lengths"], cells["H"], cells["torch"]) == ("uniform", "4", "-")
    assert min(float(cells[name]) for name in ("ragline", "keras", "/ keras", "input")) > 0
    assert float(cells["curve"]) < 1e-4
    assert float(cells["waste"].rstrip("%")) <= 5


@pytest.mark.full
def test_the_benchmark_of_gpus_checks_and_measures_on_a_cpu_as_it_would_on_a_gpu() -> None:
    sample = ("--device", "CPU", "--units", "4", "--batches", "8", "--seconds", "0")
    done = python("-m", "benchmarks.gpu", *sample, "--torch", "none")
    assert done.returncode == 0, done.stderr
    for precision in ("float32", "bfloat16"):
        assert f"H = 4, {precision}: cuDNN, padding, CPU and export as expected" in done.stdout
    header, line, *rows = done.stdout.splitlines()[-4:]
    assert len({row.count("|") for row in (header, line, *rows)}) == 1
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:3] for row in cells] == [["4", "8", "float32"], ["4", "8", "bfloat16"]]
    assert min(float(row[3].replace(",", "")) for row in cells) > 0


@pytest.mark.full
def test_without_a_gpu_the_benchmark_of_gpus_ends_with_a_sentence() -> None:
    done = python("-m", "benchmarks.gpu", "--torch", "none")
    assert done.returncode == 2
    assert "expected a GPU that TensorFlow can use, received none" in done.stderr
    assert done.stdout == ""
