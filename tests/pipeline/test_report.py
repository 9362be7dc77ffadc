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
from ragline.pipeline.report import html_page

SECTIONS = [
    "verdict", "baselines", "lengths", "slices", "reconstructions", "embedding", "training", "data",
    "drift", "stages", "lineage", "versions",
]  # fmt: skip
# Shown where there is something to show.
NOT_ALWAYS = ["slices", "reconstructions", "embedding", "drift"]
VOID = {"meta", "br"}


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
    return html_page.render(summary, samples, library="")


def _page(summary: dict[str, Any], samples: dict[str, Any] | None = None) -> Page:
    return Page(_source(summary, samples))


def test_sections_in_order() -> None:
    page = _page(summary(), SAMPLES)
    content = [a["id"] for tag, a, *_ in page.elements if tag in ("header", "section")]
    assert content == SECTIONS
    assert "Not reached" not in page.text


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
    reached = [
        section
        for section in SECTIONS
        if section not in NOT_ALWAYS and "Not reached" not in "".join(page.texts("p", section))
    ]
    assert not {section for _, _, section, _ in page.elements} & set(NOT_ALWAYS)
    assert reached == ["verdict", "stages", "lineage", "versions"]
    assert page.rows("stages") == {"ingest": ["failed", "0.250", "—"]}
    assert [*page.figures] == ["plot-stages"]


def test_the_settings_that_a_search_tried() -> None:
    page = _page(summary())
    assert page.rows("training") == {
        "2": ["0.5432", "0.001230", "128"],
        "1": ["0.6543", "0.003000", "64"],
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


def test_baselines() -> None:
    page = _page(summary())
    assert page.rows("baselines") == {
        "Model": ["0.6111", "0.6222", "0.6333", "0.6444", "0.6555"],
        "Training mean": ["0.8111", "0.8222", "1.267", "0.8444", "0.8555"],
        "Sequence mean": ["0.7111", "0.7222", "0.7333", "0.7444", "0.7555"],
        "Last value": ["0.5111", "0.5222", "0.5333", "0.5444", "0.5555"],
        "Newest blessed": ["—", "—", "—", "—", "0.9555"],
    }
    assert "left out of the normalised MSE: dust." in page.text
    [bars] = page.figures["plot-baselines"]["data"]
    # Not the newest model's, whose standardised units are others.
    assert dict(zip(bars["y"], bars["x"], strict=True)) == {
        "Model": 0.63333, "Training mean": 1.26666, "Sequence mean": 0.73333, "Last value": 0.53333,
    }  # fmt: skip


def test_lengths() -> None:
    page = _page(summary())
    assert page.rows("lengths") == {
        "8-15": ["300", "0.2500", "0.1250 to 0.5000", "0.1250", "0.4500", "0.2400", "0.1500"],
        "16-31": ["2,000", "0.7500", "0.6250 to 1.000", "0.3750", "0.9500", "0.7400", "0.6500"],
        "All": ["2,300", "0.7865", "0.6615 to 1.037", "0.3933", "0.9865", "0.7765", "0.6865"],
    }


def test_slices_by_context() -> None:
    page = _page(summary())
    row = ["500", "0.5000", "0.3750 to 0.7500", "0.2500", "0.7000", "0.4900", "0.4000"]
    assert page.rows("slices")["circle"] == row
    assert page.texts("th", "slices")[0] == "Label"


def test_the_embedding() -> None:
    page = _page(summary())
    rows = {"Model": [], "Untrained": [], "Length": []}
    for name, cells in page.rows("embedding").items():
        rows[name] = cells
    # Of the same name in both tables, the last one stands.
    assert rows == {
        "Model": ["90.00 %", "87.50 %"],
        "Untrained": ["50.00 %", "60.00 %"],
        "Length": ["30.00 %", "20.00 %"],
    }
    cells = page.texts("td", "embedding")
    assert cells[:10] == [
        "3", "2.500", "0.1250", "0.5000", "0.3750", "3", "1.500", "0.01000", "0.03000", "0.4375",
    ]  # fmt: skip
    kept, message = page.texts("p", "embedding")[1:]
    assert kept.startswith("62.50 % of each sequence's 10 nearest neighbours")
    assert "version 41" in kept
    assert "777 labelled sequences" in message and "25.00 %" in message


def test_an_embedding_that_is_not_finite_is_not_shown() -> None:
    page = _page(summary() | {"embedding": {"sequences": 9, "finite": False}})
    assert page.texts("h2", "embedding") == []


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


def test_reconstructions_are_drawn_with_their_gaps_and_to_their_end() -> None:
    page = _page(summary(), SAMPLES)
    assert page.texts("code", "reconstructions") == ["s3", "s0", "s1"]
    traces = page.figures["plot-worst"]["data"]
    assert [trace["y"] for trace in traces[:2]] == [[1.0, None, 3.0], [1.5, 2.0, 2.5]]
    assert {trace["connectgaps"] for trace in traces} == {False}
    assert [trace["yaxis"] for trace in traces] == ["y", "y", "y2", "y2"]


def test_errors_by_length() -> None:
    [points] = _page(summary(), SAMPLES).figures["plot-errors"]["data"]
    assert list(zip(points["text"], points["x"], points["y"], strict=True)) == [
        ("s0", 1, 0.25), ("s1", 40, 0.5), ("s3", 7, 0.125),
    ]  # fmt: skip


def test_the_embedding_is_coloured_by_label_and_by_length() -> None:
    figure = _page(summary(), SAMPLES).figures["plot-embedding"]
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert [*by_name] == ["none", "circle", "zigzag", "length"]
    assert by_name["circle"]["x"] == [0.0, 3.0]
    assert by_name["length"]["marker"]["color"] == [math.log2(n) for n in (1, 40, 12, 7)]
    assert figure["ways"] == {
        "by label": [True, True, True, False], "by length": [False, False, False, True],
    }  # fmt: skip
    assert "50% of the variance" in figure["layout"]["xaxis"]["title"]["text"]


def test_lengths_of_the_data() -> None:
    train, evaluation = _page(summary()).figures["plot-data-lengths"]["data"]
    assert train["x"] == ["8-15", "16-31", "128-255"]
    assert (train["y"], evaluation["y"]) == ([4, 0, 6], [0, 5, 0])


def test_the_data_page() -> None:
    page = _page(summary())
    rows = page.rows("data")
    assert rows["ax"] == ["12.50 %", "-1.500", "0.3750", "0.2500", "0.7500", "2.500", ""]
    assert rows["dust"] == ["0 %", "7.000", "—", "—", "—", "7.000", "constant"]
    assert page.rows("drift") == {"ax": ["-0.4375", "1.219", "6.250 %"]}
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
    assert facts["Padding waste"] == "9.448 %"
    assert facts["Valid steps per second"] == "39,550"
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
        "ingest": ["cached", "0.006", "512 MB"], "train": ["ran", "1,234", "2,048 MB"],
    }  # fmt: skip
    assert page.facts("versions") == {"ragline": "0.1.0", "tensorflow": "2.21.0"}


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
    for section in ("baselines", "lengths", "training"):
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
    samples["sequences"]["sequence_id"][0] = NASTY
    samples["sequences"]["context"] = {NASTY: [NASTY, "<b>x</b>", None, None]}
    samples["reconstructions"][0]["sequence_id"] = NASTY
    samples["reconstructions"][0]["features"] = {NASTY: {"values": [1.0], "outputs": [2.0]}}
    source = _source(summary(), samples)
    page = Page(source)
    assert NASTY in page.texts("code", "reconstructions")
    assert [tag for tag, *_ in page.elements].count("script") == 3
    assert "<script>alert" not in source
    texts = json.dumps(page.figures)
    assert "&lt;script&gt;" in texts and "&lt;b&gt;" in texts
    figures = page.figures
    figures["plot-embedding"].pop("ways")  # On buttons, as text.
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
    page = html_page.write(folder, summary(), SAMPLES)
    first = page.read_text()
    assert Page(first).texts("code", "reconstructions") == ["s3", "s0", "s1"]
    for place in (folder, tmp_path):
        page.unlink()
        assert html_page.write_again(place) == page
        assert page.read_text() == first


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
    assert page.rows("baselines")["Model"] == ["—"] * 5
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
        (0.78650264, "0.7865"),
        (39552.307, "39,550"),
        (9.99996, "10.00"),
        (0.7, "0.7000"),
        (-0.1269876, "-0.1270"),
        (0, "0"),
        (0.00001234, "0.00001234"),
        (1.23456e-12, "1.235e-12"),
        (3.4e38, "3.400e+38"),
        (None, "—"),
        (math.nan, "—"),
    ],
)
def test_number(value: float | None, written: str) -> None:
    assert html_page.number(value) == written
