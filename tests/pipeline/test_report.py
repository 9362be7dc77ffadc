"""Tests of the report, read back from the page with the standard library's HTML parser."""

import copy
import html.parser
import json
import math
import pathlib
import re
from typing import Any

import pytest
from reports import BEST, EPOCHS, NASTY, SAMPLES, metrics, summary

from ragline.components.files.storage import write_json
from ragline.pipeline.report import html_page, page_formats, page_tables

QUESTIONS = ["good", "served", "bad", "data", "space", "made"]
SECTIONS = [
    "verdict",
    "good", "baselines", "heads", "probes",
    "served",
    "bad", "reconstructions", "features", "lengths", "positions", "slices",
    "data", "drift",
    "space",
    "made", "training", "stages", "lineage", "versions", "options",
]  # fmt: skip
# Shown whatever the run has reached.
ALWAYS = [*QUESTIONS, "verdict", "lengths", "training", "stages", "lineage", "versions"]
VOID = {"meta", "br", "input", "rect"}


class Page(html.parser.HTMLParser):
    """A page as its elements: (tag, attributes, section, text), in order of their start tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str, list[str]]] = []
        self._open: list[int] = []
        self._section = ""
        self.feed(source)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("header", "section"):
            self._section = dict(attrs)["id"] or ""
        self.elements.append((tag, dict(attrs), self._section, []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), self._section, []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes what is open"

    def handle_data(self, data: str) -> None:
        script = self._open and self.elements[self._open[-1]][0] == "script"
        for i in self._open[-1:] if script else self._open:
            self.elements[i][3].append(data)

    def find(self, tag: str, section: str) -> list[tuple[dict[str, str | None], str]]:
        """(attributes, text) of a section's elements of one tag."""
        return [(a, "".join(x).strip()) for t, a, s, x in self.elements if (t, s) == (tag, section)]

    def texts(self, tag: str, section: str) -> list[str]:
        return [text for _, text in self.find(tag, section)]

    def rows(self, section: str) -> dict[str, list[str]]:
        """Header of a table's row -> its cells."""
        content: dict[str, list[str]] = {}
        cells: list[str] = []
        for tag, attributes, where, text in self.elements:
            if where == section and tag == "th" and attributes.get("scope") == "row":
                cells = content["".join(text)] = []
            elif where == section and tag == "td":
                cells.append("".join(text))
        return content

    def facts(self, section: str) -> dict[str, str]:
        return dict(zip(self.texts("dt", section), self.texts("dd", section), strict=True))

    @property
    def figures(self) -> dict[str, Any]:
        """Id -> figure; each has a place in the page."""
        [content] = [x for tag, a, _, x in self.elements if a.get("id") == "figures"]
        figures = json.loads("".join(content))
        places = {a["id"] for _, a, *_ in self.elements if a.get("class") == "plot"}
        assert places == figures.keys()
        return figures

    @property
    def text(self) -> str:
        """What a person can read, style sheet aside."""
        return "".join(next(x for tag, _, _, x in self.elements if tag == "body"))


def _stopped(status: str, **reached: Any) -> dict[str, Any]:
    """A run that stopped in its first stage, but for what is given."""
    nothing = (
        "input", "splits", "train", "metrics", "baselines", "pushed", "baseline_model", "embedding",
        "constant_features", "data", "drift", "tensorboard", "tune",
    )  # fmt: skip
    reasons = [f"why it is {status}"]
    ending = {
        "verdict": {"blessed": False, "forced": None, "reasons": reasons},
        "status": status,
    }
    ingest = {"state": "failed", "seconds": 0.25, "peak_bytes": None, "outputs": {}}
    stages = {"stages": {"ingest": ingest}}
    return summary() | dict.fromkeys(nothing) | ending | stages | reached


def _source(summary: dict[str, Any], samples: dict[str, Any] | None = None) -> str:
    """Without the 5 MB that draw, which tests/test_browser.py has."""
    return html_page.render(summary, samples, config="[train]", library="")


def _page(summary: dict[str, Any], samples: dict[str, Any] | None = None) -> Page:
    return Page(_source(summary, samples))


def test_sections_in_order() -> None:
    page = _page(summary(), SAMPLES)
    content = [a["id"] for tag, a, *_ in page.elements if tag in ("header", "section")]
    assert content == SECTIONS
    assert "Not reached" not in page.text


def test_the_page_begins_with_an_answer_to_each_question() -> None:
    """Each leads to the section that says more; what a run did not reach is a dash."""
    page = _page(summary(), SAMPLES)
    links = [a["href"] for tag, a, *_ in page.elements if tag == "a"]
    assert links == [f"#{name}" for name in QUESTIONS]
    answers = {a["href"]: " ".join("".join(x).split()) for t, a, _, x in page.elements if t == "a"}
    assert answers == {
        "#good": "Is it good? 34.4 % of the variance is kept 14.4 % by a PCA of its size, 24.4 % "
        "by the mean of each sequence label: balanced accuracy 0.850; PCA 0.750, statistics 0.650",
        "#served": "Is it better than what is served? 0.206 times the error of version 41 slices "
        "and features: 0 better, 1 alike, 2 worse",
        "#bad": "What is bad? 25.0 % of ay is kept the worst sequence, s1, has 2.00 times the "
        "median's error",
        "#data": "What are the data? 12,345 records 7,654,321 steps; 45 records rejected",
        "#space": "What is the space? 3 numbers a sequence they vary in 2.50 directions",
        "#made": "How was it made? in 1,230 seconds 7 epochs",
    }
    stopped = _page(_stopped("failed", stages={}))
    assert [x for x in stopped.texts("strong", "verdict") if x] == ["—"] * 6


def test_pushed() -> None:
    page = _page(summary())
    assert page.texts("h1", "verdict") == ["Pushed as version 42"]
    assert page.texts("li", "verdict") == ["all sequences are finite", "below the mean"]
    assert page.texts("code", "verdict") == ["/srv/serving/42"]


@pytest.mark.parametrize(
    ("status", "headline"),
    [
        ("not_blessed", "Not blessed: nothing pushed"),
        ("bad_data", "Stopped: bad data"),
        ("failed", "Failed"),
    ],
)
def test_stopped_runs(status: str, headline: str) -> None:
    page = _page(_stopped(status))
    assert page.texts("h1", "verdict") == [headline]
    assert page.texts("li", "verdict") == [f"why it is {status}"]
    assert page.texts("code", "verdict") == []
    shown = {section for _, _, section, _ in page.elements} - {""}
    assert shown == {*ALWAYS, "options"}
    without = {name for name in shown if "Not reached" in "".join(page.texts("p", name))}
    assert shown - without == {"verdict", "bad", "made", "stages", "lineage", "versions", "options"}
    assert page.rows("stages") == {"ingest": ["failed", "0.250", "—"]}
    assert [*page.figures] == ["plot-stages"]


def test_the_settings_that_a_search_tried() -> None:
    page = _page(summary())
    assert page.rows("training") == {
        "2": ["0.543", "0.00123", "128"],
        "1": ["0.654", "0.00300", "64"],
    }
    assert page.texts("th", "training")[:4] == ["Trial", "Held-out error", "learning_rate", "units"]
    assert "Held-out error" not in _page(summary() | {"tune": None}).text


def test_stopped_before_any_stage() -> None:
    page = _page(_stopped("failed", stages={}))
    assert page.texts("p", "stages") == ["No stage started."]
    assert page.figures == {}


def test_stopped_halfway() -> None:
    done = summary()
    page = _page(_stopped("failed", input=done["input"], train=done["train"]))
    assert page.rows("data")["Read"] == ["12,345"]
    assert "plot-curves" in page.figures
    assert "Not reached" in "".join(page.texts("p", "lengths"))


def test_not_blessed_shows_its_numbers() -> None:
    page = _page(summary() | {"status": "not_blessed", "pushed": None})
    assert page.texts("h1", "verdict") == ["Not blessed: nothing pushed"]
    assert page.rows("baselines") == _page(summary()).rows("baselines")


def test_the_model_stands_beside_its_rivals_and_the_last_value_apart() -> None:
    page = _page(summary())
    assert page.rows("baselines") == {
        "Model": ["34.4 %", "73.8 % to 84.3 %", "0.633", "0.644", "0.611", "0.622"],
        "PCA": ["14.4 %", "12.5 % to 87.5 %", "0.833", "0.844", "—", "—"],
        "Sequence mean": ["24.4 %", "12.5 % to 87.5 %", "0.733", "0.744", "0.711", "0.722"],
        "Training mean": ["14.4 %", "12.5 % to 87.5 %", "1.27", "0.844", "0.811", "0.822"],
        "Served": ["4.45 %", "0.45 % to 9.45 %", "—", "—", "—", "—"],
    }
    assert "the last value keeps\n  44.4 % (MSE 0.533)" in page.text
    assert "Constant on eval, with no variance to keep: dust." in page.text
    figure = page.figures["plot-kept"]
    [bars] = figure["data"]
    assert figure["layout"]["xaxis"]["range"] == pytest.approx([0.0, 1.2 * 0.34449])
    assert dict(zip(bars["y"], bars["x"], strict=True)) == pytest.approx(
        {
            "Model": 0.34449, "PCA": 0.14449, "Sequence mean": 0.24449, "Training mean": 0.14449,
            "Served": 0.04449,
        }
    )  # fmt: skip


def test_heads_and_categories_stand_beside_the_same_answer_for_all() -> None:
    page = _page(summary())
    rows = [
        [cell for tag, _, where, x in page.elements if where == "heads" and tag in ("th", "td")
         for cell in ["".join(x)]]
    ]  # fmt: skip
    assert rows[0][7:] == [
        "head gesture", "Loss", "0.325", "0.250 to 0.500", "1.62", "—", "640",
        "head gesture", "Accuracy", "0.812", "0.750 to 0.875", "0.188", "—", "640",
        "category activity", "Accuracy", "0.938", "—", "0.438", "0.562", "6,400",
    ]  # fmt: skip
    assert "tells a word from the one before it" in page.text


def test_labels_are_predicted_from_the_embedding_and_from_rivals_of_its_size() -> None:
    page = _page(summary())
    assert page.rows("probes") == {
        "Model": ["9", "0.875", "0.850", "0.950", "0.900", "0.800"],
        "PCA": ["8", "0.775", "0.750", "0.850", "0.800", "0.700"],
        "Statistics": ["7", "0.675", "0.650", "0.750", "0.700", "0.600"],
        "Untrained": ["5", "0.475", "0.450", "0.550", "0.500", "0.400"],
        "Length": ["3", "0.275", "0.250", "0.350", "0.300", "0.200"],
    }
    [message] = page.texts("p", "probes")[1:]
    assert "777 labelled sequences of 2 classes" in message and "25.0 %" in message


def test_the_model_is_compared_with_the_served_one_by_slice_and_feature() -> None:
    page = _page(summary())
    assert page.rows("served") == {
        "all": [
            "2,300", "0.197", "0.157 to 0.262", "0.956", "0.906 to 0.996", "0.206", "better",
        ],
        "Label circle": [
            "500", "0.125", "0.100 to 0.167", "0.0625", "0.0312 to 0.0938", "2.00", "worse",
        ],
        "Feature ay": [
            "—", "0.750", "0.500 to 0.875", "0.0625", "0.0312 to 0.0938", "12.0", "worse",
        ],
        "Feature ax": [
            "—", "0.250", "0.125 to 0.500", "0.125", "0.0625 to 0.188", "2.00", "alike",
        ],
    }  # fmt: skip
    kept = page.texts("p", "served")[-1]
    assert kept.startswith("62.5 % of each sequence's 10 nearest neighbours")
    assert "version 41" in kept


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"state": "first", "version": None, "why": None}, "This is the first model"),
        ({"state": "same", "version": 3, "why": None}, "This is version 3 itself"),
        ({"state": "not_compared", "version": 3, "why": "it lacks <b>"}, "version 3: it lacks <b>"),
    ],
    ids=lambda value: value["state"] if isinstance(value, dict) else "",
)
def test_a_model_that_is_not_compared_says_why(state: dict[str, Any], message: str) -> None:
    content = summary() | {"baseline_model": state}
    content["baselines"].pop("newest")
    [paragraph] = _page(content).texts("p", "served")
    assert message in paragraph


def test_errors_by_feature_leave_a_constant_one_out() -> None:
    page = _page(summary())
    assert page.rows("features") == {
        "ay": ["0.750", "0.500 to 0.875", "—"],
        "ax": ["0.250", "0.125 to 0.500", "0.375"],
    }
    model, pca, served = page.figures["plot-features"]["data"]
    assert model["y"] == pca["y"] == served["y"] == ["ay", "ax"]
    assert (model["x"], pca["x"], served["x"]) == ([0.75, 0.25], [None, 0.375], [0.0625, 0.125])
    assert model["error_x"]["array"] == pytest.approx([0.125, 0.25])


def test_the_worst_sequences_are_named_with_where_they_come_from() -> None:
    page = _page(summary(), SAMPLES)
    assert page.rows("reconstructions") == {
        "s1": ["Worst", "0.500", "2.00", "3", "bob", "data/b.csv:4711", "—", "—"],
        "s0": ["Worst 2", "0.250", "1.00", "3", "ann", "—", "circle", "—"],
        "s3": ["Best", "0.125", "0.500", "3", "eve", "—", "circle", "—"],
    }
    buttons = [a for a, _ in page.find("button", "reconstructions")]
    assert [button["data-choice"] for button in buttons] == ["worst", "worst_2", "best"]
    assert [button["aria-pressed"] for button in buttons] == ["true", "false", "false"]
    assert [*page.figures["plot-reconstructions"]["choices"]] == ["worst", "worst_2", "best"]


def test_errors_and_missing_values_by_position() -> None:
    figures = _page(summary(), SAMPLES).figures
    [errors] = figures["plot-positions"]["data"]
    assert errors["y"] == [0.5, None, 0.125]
    assert errors["x"] == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    [missing] = figures["plot-missing"]["data"]
    assert (missing["y"], missing["z"]) == (["ax"], [[0.0, 0.25, 0.5]]), "ay lacks nothing"


def test_lengths() -> None:
    page = _page(summary())
    assert page.rows("lengths") == {
        "8-15": ["300", "0.250", "0.125 to 0.500", "0.125", "0.450", "0.240", "0.350"],
        "16-31": ["2,000", "0.750", "0.625 to 1.00", "0.375", "0.950", "0.740", "0.850"],
        "All": ["2,300", "0.787", "0.662 to 1.04", "0.393", "0.987", "0.777", "0.887"],
    }


def test_slices_by_context() -> None:
    page = _page(summary())
    row = ["500", "0.500", "0.375 to 0.750", "0.250", "0.700", "0.490", "0.600"]
    assert page.rows("slices")["circle"] == row
    assert page.texts("th", "slices")[0] == "Label"


def test_the_embedding() -> None:
    assert _page(summary()).rows("space") == {
        "Model": ["3", "2.50", "0.125", "0.500", "0.375"],
        "Untrained": ["3", "1.50", "0.0100", "0.0300", "0.438"],
    }


def test_an_embedding_that_is_not_finite_is_not_shown() -> None:
    page = _page(summary() | {"embedding": {"sequences": 9, "finite": False}})
    assert "Not reached" in "".join(page.texts("p", "space"))
    assert page.rows("probes") == {}


def test_a_forced_blessing_is_seen_with_its_reason() -> None:
    verdict = {"blessed": True, "forced": "because <I> say so", "reasons": ["it is bad"]}
    page = _page(summary() | {"verdict": verdict})
    assert "Blessed by force: because <I> say so" in page.texts("p", "verdict")
    assert "force" not in _page(summary()).text


def test_intervals_reach_from_the_value_to_the_bounds() -> None:
    figures = _page(summary()).figures
    model, mean = figures["plot-lengths"]["data"]
    assert model["y"] == ["8-15", "16-31", "All"]
    assert model["x"] == [0.25, 0.75, 0.78650264]
    assert model["error_x"]["array"] == pytest.approx([0.25] * 3)
    assert model["error_x"]["arrayminus"] == pytest.approx([0.125] * 3)
    assert mean["x"] == pytest.approx([0.45, 0.95, 0.98650264])
    assert figures["plot-slice-label"]["data"][0]["y"] == ["circle", "All"]


def test_curves_have_a_point_an_epoch_and_the_best_one_is_marked() -> None:
    content = summary()
    content["train"]["history"][1]["loss"] = None
    measured, loss, best = _page(content).figures["plot-curves"]["data"]
    assert measured["x"] == loss["x"] == [*range(EPOCHS + 1)], "one before the first"
    assert loss["y"][:3] == [1.0, None, pytest.approx(1 / 3)]
    assert loss["connectgaps"] is False, "a missing value cuts the line"
    assert (best["x"], best["y"], best["name"]) == ([BEST], [0.5], f"best: epoch {BEST}")


def test_a_transformed_feature_is_drawn_in_raw_units_by_its_own_scale() -> None:
    scale = {"mean": 2.0, "std": 0.5, "transform": "signed_log"}
    samples = SAMPLES | {"transformed": {"ax": scale}}
    figure = _page(summary(), samples).figures["plot-reconstructions"]
    [values, outputs] = [trace["y"] for trace in figure["data"][:2]]
    assert values == [pytest.approx(math.expm1(2.5)), None, pytest.approx(math.expm1(3.5))]
    assert outputs == [pytest.approx(math.expm1(2.0 + 0.5 * z)) for z in (1.5, 2.0, 2.5)]
    plain = _page(summary(), SAMPLES).figures["plot-reconstructions"]["data"][2:4]
    assert [trace["y"] for trace in figure["data"][2:4]] == [trace["y"] for trace in plain]


def test_reconstructions_are_drawn_with_their_gaps_and_to_their_end() -> None:
    figure = _page(summary(), SAMPLES).figures["plot-reconstructions"]
    traces = figure["choices"]["best"]["data"]
    raw = [[0.25 + 0.75 * 1.0, None, 0.25 + 0.75 * 3.0], [1.375, 1.75, 2.125]]
    assert [trace["y"] for trace in traces[:2]] == raw, "in raw units"
    assert {trace["connectgaps"] for trace in traces} == {False}
    assert [trace["yaxis"] for trace in traces] == ["y", "y", "y2", "y2"]
    assert figure["data"] == figure["choices"]["worst"]["data"], "the worst is shown first"


def test_a_constant_feature_is_not_drawn_as_a_failure() -> None:
    content = summary() | {"constant_features": ["ay"]}
    figure = _page(content, SAMPLES).figures["plot-reconstructions"]
    titles = [a["title"]["text"] for name, a in figure["layout"].items() if name[0] == "y"]
    assert titles == ["ax"]
    assert len(figure["data"]) == 2


def test_errors_by_length() -> None:
    [points] = _page(summary(), SAMPLES).figures["plot-errors"]["data"]
    assert list(zip(points["text"], points["x"], points["y"], strict=True)) == [
        ("s0", 1, 0.25), ("s1", 40, 0.5), ("s3", 7, 0.125),
    ]  # fmt: skip


def test_the_embedding_is_coloured_by_label_length_and_error() -> None:
    figure = _page(summary(), SAMPLES).figures["plot-embedding"]
    by_name = {trace["name"]: trace for trace in figure["data"][:-1]}
    assert [*by_name] == ["none", "circle", "zigzag", "steps", "MSE"]
    assert by_name["circle"]["x"] == [0.0, 3.0]
    assert by_name["circle"]["customdata"] == [0, 3]
    assert by_name["circle"]["text"][0] == "s0<br>circle, 1 step, MSE 0.250"
    assert by_name["steps"]["marker"]["color"] == [math.log2(n) for n in (1, 40, 12, 7)]
    assert by_name["MSE"]["marker"]["color"] == [-2, -1, None, -3]
    assert figure["ways"] == {
        "by label": [True, True, True, False, False, True],
        "by length": [False, False, False, True, False, True],
        "by error": [False, False, False, False, True, True],
    }
    assert "50% of the variance" in figure["layout"]["xaxis"]["title"]["text"]
    points = figure["points"]
    assert points["id"] == ["s0", "s1", "s2", "s3"]
    assert points["about"][1] == "40 steps, MSE 0.500"
    assert (points["index"], points["distance"]) == (
        SAMPLES["neighbours"]["index"], SAMPLES["neighbours"]["distance"],
    )  # fmt: skip


def test_lengths_of_the_data() -> None:
    train, evaluation = _page(summary()).figures["plot-data-lengths"]["data"]
    assert train["x"] == ["8-15", "16-31", "128-255"]
    assert (train["y"], evaluation["y"]) == ([4, 0, 6], [0, 5, 0])


def test_the_data_page() -> None:
    page = _page(summary())
    rows = page.rows("data")
    assert [cell.strip() for cell in rows["ax"]] == [
        "", "12.5 %", "-1.50", "0.375", "0.250", "0.750", "2.50", "",
    ]  # fmt: skip
    assert rows["ay"][0].strip() == ""
    assert rows["dust"] == ["", "0 %", "7.00", "—", "—", "—", "7.00", "constant"]
    [histogram] = [a for tag, a, *_ in page.elements if tag == "svg"]
    assert histogram["aria-label"] == "Histogram: 1, 4, 2"
    bars = [float(a["height"]) for tag, a, *_ in page.elements if tag == "rect"]
    assert bars == [6.0, 24.0, 12.0], "a constant feature has none"
    assert page.rows("drift") == {"ax": ["-0.438", "1.22", "6.25 %"]}
    assert rows["length_mismatch"] == ["44", "a.jsonl, line 7: expected 3"]
    assert page.facts("data") == {"Short windows": "3"}


def test_lineage() -> None:
    page = _page(summary())
    assert page.rows("lineage") == {
        "ingest": ["examples", "/w/ingest/3"], "train": ["model", "/w/train/7"],
    }  # fmt: skip


def test_training_and_data_and_stages_and_versions() -> None:
    page = _page(summary())
    facts = page.facts("training")
    assert facts["Epochs"] == "7"
    assert facts["Best epoch, the one kept"] == "5"
    assert facts["Padding waste"] == "9.45 %"
    assert facts["Valid steps per second"] == "39,600"
    assert facts["Devices"] == "/device:CPU:0, /device:GPU:0"
    assert "tensorboard --logdir /w/logs" in page.texts("code", "training")
    expected = {
        "Read": ["12,345"],
        "Accepted": ["12,300"],
        "Quarantined": ["45"],
        "· length_mismatch": ["44"],
        "· no_steps": ["1"],
        "Train": ["10,000", "6,000,000"],
        "Eval": ["2,300", "1,654,321"],
    }
    assert expected.items() <= page.rows("data").items()
    assert page.rows("stages") == {
        "ingest": ["cached", "0.006", "512 MB"], "train": ["ran", "1,230", "2,048 MB"],
    }  # fmt: skip
    assert page.facts("versions") == {"ragline": "0.1.0", "tensorflow": "2.21.0"}
    assert page.texts("pre", "options") == ["[train]"]
    assert "2026-01-02 03:04:05 UTC" in page.text


def test_the_comparison_of_strategies_is_shown_where_there_is_one() -> None:
    row = {
        "padding": "keras",
        "reported_loss": 0.2662,
        "train_mse": 0.724,
        "eval_mse": 0.8462,
        "loss_share": 0.0425,
        "gradient_share": 0.213,
        "bias": -0.4578,
        "padding_waste": 0.6477,
        "seconds": 5.63,
    }
    page = _page(summary() | {"comparison": [row | {"padding": "crop"}, row]})
    assert page.rows("padding")["keras"] == [
        "0.2662", "0.7240", "0.8462", "4.2%", "21.3%", "-0.4578", "64.8%", "5.63",
    ]  # fmt: skip
    assert "crop" in page.rows("padding")
    assert _page(summary()).rows("padding") == {}


def test_units_are_named_where_errors_are_shown() -> None:
    page = _page(summary())
    for section in ("lengths", "training"):
        captions = page.texts("figcaption", section)
        assert captions and all("standardised units" in caption for caption in captions)


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": {"blessed": False, "forced": None, "reasons": [NASTY]}},
        {"verdict": {"blessed": False, "forced": NASTY, "reasons": []}},
        {"constant_features": [NASTY]},
        {"run_id": NASTY},
        {"pushed": {"version": 1, "path": NASTY}},
        {"stages": {NASTY: {"state": "ran", "seconds": 1.0, "peak_bytes": 1, "outputs": {}}}},
        {"stages": {"a": {"state": NASTY, "seconds": 1.0, "peak_bytes": 1, "outputs": {}}}},
        {"data": summary()["data"] | {"examples": {"no_steps": NASTY}}},
        {"tensorboard": {"folder": "", "command": NASTY}},
        {"versions": {"ragline": NASTY}},
        {"metrics": {"overall": metrics(1, 1), f"length_bucket={NASTY}": metrics(1, 1)}},
        {"input": summary()["input"] | {"reasons": {NASTY: 3}}},
        {"train": summary()["train"] | {"devices": [NASTY]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_markup_in_the_data_stays_text(change: dict[str, Any]) -> None:
    page = _page(summary() | change)
    assert NASTY in page.text
    assert [tag for tag, *_ in page.elements].count("script") == 3


def test_markup_in_ids_and_labels_stays_text() -> None:
    """In the page, in the JSON that the script reads, and in Plotly, which takes some tags."""
    samples = copy.deepcopy(SAMPLES)
    samples["sequences"]["sequence_id"][0] = samples["sequences"]["entity_id"][0] = NASTY
    samples["sequences"]["context"] = {NASTY: [NASTY, "<b>x</b>", None, None]}
    samples["reconstructions"][1]["sequence_id"] = NASTY
    samples["positions"]["missing"] = {NASTY: [0.5]}
    samples["reconstructions"][1]["features"] = {NASTY: {"values": [1.0], "outputs": [2.0]}}
    content = summary()
    content["data"]["features"][0]["name"] = NASTY
    source = _source(content, samples)
    page = Page(source)
    assert NASTY in page.texts("code", "reconstructions")
    assert [tag for tag, *_ in page.elements].count("script") == 3
    assert "<script>alert" not in source
    texts = json.dumps(page.figures)
    assert "&lt;script&gt;" in texts and "&lt;b&gt;" in texts
    figures = page.figures
    figures["plot-embedding"].pop("ways")  # On buttons, as text.
    figures["plot-embedding"].pop("points")  # In a list, as text.
    assert "<b>" not in json.dumps(figures) and "<script" not in json.dumps(figures)


def test_nothing_is_loaded() -> None:
    source = _source(summary(), SAMPLES)
    for word in ("http://", "https://", "src=", "<link", "@import", "url("):
        assert word not in source
    assert "default-src 'none'" in source


def test_a_report_is_written_anew(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "runs" / "20260102"
    (tmp_path / "runs" / "20260101").mkdir(parents=True)
    folder.mkdir()
    write_json(folder / "summary.json", summary())
    (folder / "config.toml").write_text('name = "mine"')
    page = html_page.write(folder, summary(), SAMPLES)
    first = page.read_text()
    assert Page(first).texts("code", "reconstructions") == ["s1", "s0", "s3"]
    for place in (folder, tmp_path):
        page.unlink()
        assert html_page.write_again(place) == page
        assert page.read_text() == first


def test_a_sample_of_the_quarantine_is_shown() -> None:
    """Of the summary, which a cached run has as one that is not; as text."""
    lines = [
        {
            "code": "number_format", "detail": f"expected {NASTY}", "sequence_id": None,
            "line": number, "file": "data/a.csv", "text": f"{NASTY}…",
        }
        for number in (1, 2, 3)
    ]  # fmt: skip
    run = summary()
    run["data"]["rejected"] = lines
    source = _source(run, SAMPLES)
    assert "<script>alert" not in source
    rows = {name: cells for name, cells in Page(source).rows("data").items() if "a.csv:" in name}
    assert rows == {
        f"data/a.csv:{number}": ["number_format", f"expected {NASTY}", f"{NASTY}…"]
        for number in (1, 2, 3)
    }


def test_the_worst_sequences_of_an_earlier_version_have_no_file() -> None:
    older = copy.deepcopy(SAMPLES)
    for drawn in older["reconstructions"]:
        del drawn["file"], drawn["line"]
    rows = Page(_source(summary(), older)).rows("reconstructions")
    assert rows["s1"] == ["Worst", "0.500", "2.00", "3", "bob", "—", "—", "—"]


def test_the_worst_sequences_for_the_summary() -> None:
    assert [row["sequence_id"] for row in page_tables.worst(SAMPLES)] == ["s1", "s0"]
    assert page_tables.worst(SAMPLES)[0]["file"] == "data/b.csv"


def test_what_stands_where_the_script_would_is_left(tmp_path: pathlib.Path) -> None:
    """The page then has the script inside."""
    folder = tmp_path / "runs" / "20260102"
    folder.mkdir(parents=True)
    assert "<script src=" in html_page.write(folder, summary(), SAMPLES).read_text()
    [script] = tmp_path.glob("*.js")
    script.write_text("mine")
    page = html_page.write(folder, summary(), SAMPLES).read_text()
    assert script.read_text() == "mine"
    assert "<script src=" not in page
    assert len(page) > 3_000_000


@pytest.mark.parametrize("content", [None, "{}", "no JSON", "[]"])
def test_what_is_no_run_is_refused(tmp_path: pathlib.Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(html_page.NoRunError, match=re.escape(str(tmp_path))):
        html_page.write_again(tmp_path)


def test_a_summary_with_a_key_that_was_renamed_is_refused_with_its_new_name(
    tmp_path: pathlib.Path,
) -> None:
    old = summary()
    old["newest"] = old.pop("baseline_model")
    (tmp_path / "summary.json").write_text(json.dumps(old))
    with pytest.raises(
        html_page.NoRunError, match="its key 'newest' is named 'baseline_model' now"
    ):
        html_page.write_again(tmp_path)
    assert not (tmp_path / "report.html").exists()


def _holes(value: Any, hole: float | None) -> Any:
    """A copy in which every float is missing."""
    if isinstance(value, dict):
        return {key: _holes(item, hole) for key, item in value.items()}
    if isinstance(value, list):
        return [_holes(item, hole) for item in value]
    return hole if isinstance(value, float) else value


@pytest.mark.parametrize("hole", [None, math.nan, math.inf], ids=str)
def test_missing_values_are_dashes(hole: float | None) -> None:
    page = _page(_holes(summary(), hole))
    assert not re.search(r"\b(None|nan|inf)\b", page.text, re.IGNORECASE)
    assert page.rows("baselines")["Model"] == ["—"] * 6
    assert page.rows("lengths")["All"] == ["—"] * 7
    assert page.facts("training")["Padding waste"] == "—"
    assert page.figures.keys() <= {"plot-data-lengths"}


def test_a_missing_text_is_a_dash() -> None:
    page = _page(summary() | {"versions": {"ragline": None}})
    assert page.facts("versions") == {"ragline": "—"}


@pytest.mark.parametrize("predictor", ["model", "training_mean"])
@pytest.mark.parametrize("field", ["value", "lower", "upper"])
def test_one_missing_metric(predictor: str, field: str) -> None:
    content = summary()
    slices = (
        content["metrics"] if predictor == "model" else content["baselines"][predictor]["slices"]
    )
    slices["length_bucket=8-15"]["masked_mse"][field] = None
    page = _page(content)
    assert "None" not in page.text
    assert "plot-lengths" in page.figures


def test_a_page_does_not_change_its_summary() -> None:
    content = summary()
    before = copy.deepcopy(content)
    _source(content, SAMPLES)
    assert content == before


def test_summary_read_back_gives_the_same_page() -> None:
    content = summary()
    assert _source(json.loads(json.dumps(content))) == _source(content)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.78650264, "0.787"),
        (39552.307, "39,600"),
        (9.9996, "10.0"),
        (0.7, "0.700"),
        (-0.1269876, "-0.127"),
        (0, "0"),
        (0.00001234, "0.0000123"),
        (1.23456e-12, "1.23e-12"),
        (3.4e38, "3.40e+38"),
        (None, "—"),
        (math.nan, "—"),
    ],
)
def test_number(value: float | None, written: str) -> None:
    assert page_formats.number(value) == written


@pytest.mark.parametrize("run_id", ["mine", "20261399-000000-aaaa"])
def test_a_run_whose_id_is_no_time_has_a_dash(run_id: str) -> None:
    assert page_formats.started(run_id) == "—"


def test_intervals_that_touch_are_alike() -> None:
    ours = {"value": 0.2, "lower": 0.1, "upper": 0.3}
    for theirs, outcome in (
        ({"value": 0.4, "lower": 0.31, "upper": 0.5}, "better"),
        ({"value": 0.4, "lower": 0.3, "upper": 0.5}, "alike"),
        ({"value": 0.05, "lower": 0.01, "upper": 0.09}, "worse"),
        ({"value": 0.4, "lower": None, "upper": None}, None),
    ):
        content = summary()
        content["metrics"]["overall"]["normalised_mse"] = ours
        content["baselines"]["newest"]["slices"] = {"overall": {"normalised_mse": theirs}}
        row, *_ = page_tables.against_served(content)
        assert row["outcome"] == outcome
