"""Answer in a line each what a person asks of a run: the head of the page, and its contents. Pure.

The sections of the page bear the ids of the answers, and show what they are made of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ragline.components.contract.columns import SEQUENCE_ID
from ragline.components.contract.signatures import MODEL, SEQUENCE_MEAN
from ragline.components.evaluate.verdict.label_probes import MEASURE
from ragline.components.evaluate.verdict.rules import PCA, STATISTICS
from ragline.pipeline.report import page_tables
from ragline.pipeline.report.page_formats import DASH, count, number, percent, seconds

Summary = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Holds one question and its answer.

    Attributes:
      id: id of the section that says more.
      question: what a person asks.
      answer: answer in a few words; a dash where the run did not reach it.
      beside: sentences to compare it with.
    """

    id: str
    question: str
    answer: str
    beside: tuple[str, ...]


def answers(summary: Summary, samples: Mapping[str, Any] | None) -> list[Answer]:
    """Return an answer to each question, in the order of the page."""
    answered = {
        ("good", "Is it good?"): _good(summary),
        ("served", "Is it better than what is served?"): _served(summary),
        ("bad", "What is bad?"): _bad(summary, samples),
        ("data", "What are the data?"): _data(summary),
        ("space", "What is the space?"): _space(summary),
        ("made", "How was it made?"): _made(summary),
    }
    return [
        Answer(id=section, question=question, answer=answer, beside=tuple(beside))
        for (section, question), (answer, *beside) in answered.items()
    ]


# Each returns the answer, and then the sentences to compare it with.


def _good(summary: Summary) -> list[str]:
    rivals = page_tables.rivals(summary)
    if not rivals:
        return [DASH]
    names = {PCA: "a PCA of its size", SEQUENCE_MEAN: "the mean of each sequence"}
    others = [
        f"{percent(rivals[name]['kept']['value'])} by {words}"
        for name, words in names.items()
        if name in rivals
    ]
    share = percent(rivals[MODEL]["kept"]["value"])
    return [f"{share} of the variance is kept", ", ".join(others), *_labels(summary)]


def _labels(summary: Summary) -> Iterator[str]:
    described = page_tables.describe_embedding(summary["embedding"])
    for column, probe in (described["probes"] if described else {}).items():
        ours, pca, statistics = (number(probe[name][MEASURE]) for name in (MODEL, PCA, STATISTICS))
        yield f"{column}: balanced accuracy {ours}; PCA {pca}, statistics {statistics}"


def _served(summary: Summary) -> list[str]:
    state = summary["baseline_model"]
    if not state:
        return [DASH]
    rows = page_tables.against_served(summary)
    if not rows:
        words = {"first": "nothing is served yet", "same": "it is what is served"}
        return [words.get(state["state"], "not compared")]
    outcomes = [row["outcome"] for row in rows[1:]]
    counted = (f"{outcomes.count(each)} {each}" for each in ("better", "alike", "worse"))
    return [
        f"{number(rows[0]['ratio'])} times the error of version {state['version']}",
        f"slices and features: {', '.join(counted)}",
    ]


def _bad(summary: Summary, samples: Mapping[str, Any] | None) -> list[str]:
    rows = page_tables.features(summary)
    if not rows:
        return [DASH]
    share = percent(page_tables.kept(rows[0])["value"])
    worst = (
        f"the worst sequence, {row[SEQUENCE_ID]}, has {number(row['times'])} times the median's "
        "error"
        for row in page_tables.drawn_sequences(samples)[:1]
    )
    return [f"{share} of {rows[0]['name']} is kept", *worst]


def _data(summary: Summary) -> list[str]:
    read = summary["input"]
    if not read:
        return [DASH]
    return [
        f"{count(read['sequences'])} records",
        f"{count(read['steps'])} steps; {count(read['quarantined'])} records rejected",
    ]


def _space(summary: Summary) -> list[str]:
    described = page_tables.describe_embedding(summary["embedding"])
    if not described:
        return [DASH]
    return [
        f"{count(described[MODEL]['size'])} numbers a sequence",
        f"they vary in {number(described[MODEL]['effective_rank'])} directions",
    ]


def _made(summary: Summary) -> list[str]:
    if not summary["stages"]:
        return [DASH]
    total = sum(stage["seconds"] or 0.0 for stage in summary["stages"].values())
    trained = summary["train"] or {}
    epochs = [f"{count(trained['epochs'])} epochs"] if trained else []
    sampled = [trained["sampled"]] if trained.get("sampled") else []
    return [f"in {seconds(total)} seconds", *epochs, *sampled]
