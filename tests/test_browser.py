"""The report in a real browser, from disk: it draws, sorts, asks the network for nothing."""

import json
import pathlib
import runpy
import struct
from collections.abc import Iterator

import pytest
from browser import CHROMIUM, Browser, started
from commands import ROOT
from reports import NASTY, SAMPLES, summary

from ragline.components.files.storage import write_json
from ragline.pipeline.report import html_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as started_browser:
        yield started_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> pathlib.Path:
    """Ids and labels that are markup, and one that would run if it were taken for such."""
    samples = json.loads(json.dumps(SAMPLES))
    nasty = "<img src=x onerror=\"document.title='owned'\">"
    samples["sequences"]["sequence_id"][:2] = NASTY, nasty
    samples["reconstructions"][1]["sequence_id"] = NASTY
    samples["reconstructions"][2]["features"]["ax"]["values"] = [1.0, 2.0, 3.0]
    samples["sequences"]["context"] = {"label": [nasty, "<b>x</b>", "y", "y"]}
    samples["reconstructions"][0]["sequence_id"] = nasty
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_page.render(summary(), samples), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_draws_all_its_plots_without_a_complaint_or_a_request(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    count = "p.querySelectorAll('.main-svg').length"
    drawn = browser.value(f"Array.from(document.querySelectorAll('.plot'), p => {count})")
    assert len(drawn) == 12
    assert all(drawn)
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert "owned" not in browser.value("document.title")
    assert browser.value("document.querySelectorAll('.plot img, code img').length") == 0


def test_a_report_draws_from_its_work_directory_and_is_sent_with_all_inside(browser, tmp_path):
    """Two runs have one script; the work directory may be moved; a page that left it says so."""
    for run_id in ("20260101", "20260102"):
        html_page.write(tmp_path / "work" / "runs" / run_id, summary(), SAMPLES)
        write_json(tmp_path / "work" / "runs" / run_id / "summary.json", summary())
    (tmp_path / "work").rename(tmp_path / "moved")
    [script] = (tmp_path / "moved").glob("*.js")
    assert script.stat().st_size > 3_000_000
    for page in (tmp_path / "moved" / "runs").glob("*/report.html"):
        assert page.stat().st_size < 200_000
        browser.open(page)
        assert browser.value("document.querySelectorAll('.main-svg').length")
        assert browser.complaints() == []
        assert browser.requests() == [page.as_uri(), script.as_uri()]
    alone = tmp_path / "alone.html"
    assert html_page.write_again(tmp_path / "moved", alone) == alone
    browser.open(alone)
    assert browser.value("document.querySelectorAll('.main-svg').length")
    assert browser.requests() == [alone.as_uri()]
    script.unlink()
    browser.open(page)
    assert "ragline report DIR --output FILE" in browser.value("document.body.innerText")


def test_text_in_plots_is_text(browser, page):
    browser.open(page)
    texts = browser.value(
        "Array.from(document.querySelectorAll('#plot-embedding .legendtext'), t => t.textContent)"
    )
    assert "<b>x</b>" in texts


POINTS = (
    "Array.from(document.querySelectorAll('#plot-reconstructions .scatter.trace'),"
    " t => t.querySelectorAll('.point').length)"
)


def test_padding_is_not_drawn_and_a_click_draws_another_sequence(browser, page):
    """Three steps, of which the second is missing: two points of the one, three of the other."""
    browser.open(page)
    assert browser.value(POINTS) == [2, 3, 3, 3]
    browser.value("document.querySelectorAll('button.choice')[2].click()")
    browser.wait(f"{POINTS}.join() === '3,3,3,3'")
    pressed = "Array.from(document.querySelectorAll('button.choice'), b => b.ariaPressed)"
    assert browser.value(pressed) == ["false", "false", "true"]


def test_a_click_on_a_point_lists_its_neighbours(browser, page):
    """The nearest first, with distance, label, length and error; an id does the same."""
    browser.open(page)
    listed = "Array.from(document.querySelectorAll('#neighbours li'), i => i.textContent)"
    browser.value(
        "document.getElementById('plot-embedding')"
        ".emit('plotly_click', {points: [{customdata: 2}]})"
    )
    browser.wait(f"{listed}.length === 2")
    assert browser.value(listed) == [
        "s3 at 1: y, 7 steps, MSE 0.125",
        "<img src=x onerror=\"document.title='owned'\"> at 2: <b>x</b>, 40 steps, MSE 0.500",
    ]
    browser.value(
        "(f => { f.elements.id.value = 's3'; f.dispatchEvent(new Event('input')); })"
        "(document.getElementById('find'))"
    )
    browser.wait("document.querySelector('#neighbours p').textContent.startsWith('Nearest to s3')")
    assert browser.complaints() == []


@pytest.mark.parametrize(("width", "scrolls"), [(1200, False), (390, True)])
def test_a_table_that_is_wider_than_the_page_says_that_it_scrolls(browser, page, width, scrolls):
    browser.open(page, width=width)
    box = "document.querySelector('#baselines .scroll')"
    hint = "getComputedStyle(document.querySelector('#baselines .hint')).display"
    more = f"{box}.classList.contains('more')"
    assert browser.value(hint) == ("block" if scrolls else "none")
    assert browser.value(more) is scrolls
    browser.value(f"{box}.scrollLeft = 10000")
    browser.wait(f"!{more}")


def test_the_answers_lead_to_their_sections(browser, page):
    browser.open(page)
    missing = "Array.from(document.querySelectorAll('nav a'), a => a.hash).filter(h => !{})"
    assert browser.value(missing.format("document.querySelector(h)")) == []


SORT = "document.querySelectorAll('#lengths thead button')[{}].click()"
ROWS = "Array.from(document.querySelectorAll('#lengths tbody tr'), r => r.cells[{}].textContent)"


def test_a_table_sorts_by_numbers_and_back(browser, page):
    browser.open(page)
    assert browser.value(ROWS.format(1)) == ["300", "2,000", "2,300"]
    browser.value(SORT.format(2))
    assert browser.value(ROWS.format(2)) == ["0.250", "0.750", "0.787"]
    browser.value(SORT.format(2))
    assert browser.value(ROWS.format(2)) == ["0.787", "0.750", "0.250"]
    browser.value(SORT.format(0))
    assert browser.value(ROWS.format(0)) == ["8-15", "16-31", "All"]
    assert browser.value("document.querySelectorAll('#lengths [aria-sort]').length") == 1


def test_a_button_colours_the_embedding_by_error(browser, page):
    browser.open(page)
    labels = "Array.from(document.querySelectorAll('.ways button'), b => b.textContent)"
    assert browser.value(labels) == ["by label", "by length", "by error"]
    shown = "document.querySelectorAll('#plot-embedding .scatter.trace .point').length"
    browser.value("document.querySelectorAll('.ways button')[2].click()")
    browser.wait(f"{shown} > 0 && document.querySelector('#plot-embedding .cbtitle')")
    title = "document.querySelector('#plot-embedding .cbtitle').textContent"
    assert browser.value(title) == "MSE"
    assert browser.complaints() == []


def test_plots_follow_the_page_into_the_dark(browser, page):
    colour = "getComputedStyle(document.querySelector('#plot-kept .point path')).fill"
    browser.open(page)
    light = browser.value(colour)
    browser.scheme("dark")
    browser.wait(f"{colour} !== '{light}'")


@pytest.mark.full
def test_the_pictures_of_the_pages_are_taken_from_a_run(tmp_path):
    """docs/make_pictures.py, on a work directory; nothing is taken of an empty page."""
    run = tmp_path / "work" / "runs" / "20260102"
    run.mkdir(parents=True)
    write_json(run / "summary.json", summary())
    write_json(run / "reconstruction_samples.json", SAMPLES)
    script = runpy.run_path(str(ROOT / "docs" / "make_pictures.py"))
    script["main"].__globals__["FOLDER"] = tmp_path
    script["main"](tmp_path / "work")
    for name, (_, height) in script["PICTURES"].items():
        picture = (tmp_path / name).read_bytes()
        assert struct.unpack(">II", picture[16:24]) == (1200, height)
        assert len(picture) > 20_000, "a blank one has some 4,000 bytes"
