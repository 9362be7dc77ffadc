import logging

import pytest

from ragline.pipeline.report import comparison

ROW = {
    "padding": "crop",
    "reported_loss": 0.12345,
    "train_mse": 1.0,
    "eval_mse": 2.0,
    "loss_share": 0.0,
    "gradient_share": 0.5,
    "bias": -0.25,
    "padding_waste": 0.0948,
    "seconds": 1.234,
}


def test_the_table_is_markdown_with_columns_that_line_up():
    lines = comparison.markdown([ROW, ROW | {"padding": "equal_length"}]).splitlines()
    assert len(lines) == 4
    bars = [[place for place, character in enumerate(line) if character == "|"] for line in lines]
    assert all(places == bars[0] for places in bars)
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "crop", "0.1235", "1.0000", "2.0000", "0.0%", "50.0%", "-0.2500", "9.5%", "1.23",
    ]  # fmt: skip
    rule = [cell.strip() for cell in lines[1].strip("|").split("|")]
    assert set(rule[0]) == {"-"}
    assert all(cell.endswith("-:") for cell in rule[1:])


def test_a_training_that_diverged_is_shown_by_dashes():
    row = ROW | {"reported_loss": None, "train_mse": None}
    assert comparison.cells([row])[1][:4] == ["crop", "—", "—", "2.0000"]


def test_what_was_compared_is_there_for_the_next_report(tmp_path, caplog):
    assert comparison.read(tmp_path) is None
    rows = [ROW, ROW | {"padding": "equal_length", "bias": None}]
    comparison.write(tmp_path, rows)
    assert comparison.read(tmp_path) == rows
    assert not caplog.messages


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "null", "[" * 100_000, '[{"padding": 1}]'])
def test_what_is_no_comparison_costs_no_report(tmp_path, caplog, text):
    file = tmp_path / "comparison.json"
    file.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert comparison.read(tmp_path) is None
    assert caplog.messages[0].startswith(f"{file}: expected a comparison of ragline: ")
    file.unlink()
    file.mkdir()
    assert comparison.read(tmp_path) is None
    comparison.write(tmp_path, [ROW])
    assert comparison.read(tmp_path) == [ROW]
