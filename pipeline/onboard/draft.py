"""Draft a commented configuration from a guess, for a person to curate.

Pure. The file works as it is; a key that is commented out has its default value.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import tomli_w

from ragline.components.contract import kinds
from ragline.components.contract.columns import TIME_DELTA
from ragline.pipeline.onboard.guess import Context, Guess

_MEANINGS = {
    "columns": "the first line of a file is no header",
    "date": "the column of the day",
    "decimal": "the mark between whole numbers and fractions",
    "delimiter": "a blank stands for runs of blanks",
    "duplicate_time": "steps of one time are one step, the last value of each column in it",
    "id": "the id of a sequence, which embeddings carry",
    "eval_share": "of the entities",
    "padding_value": "what stands in padding, behind the last step",
    "time_format": "as strptime has it",
    "value": "the column of what was measured",
    "variable": "the column that says of what a row is a measurement",
}
_FEATURES = """\
# What a record must be: a line a column. The order of the numbers is that of the encoder's inputs.
# A value that breaks what stands here stops the run.
#   type         "number", one a step; "category", a word a step; "context", one value a sequence
#   unit         "m/s": the served encoder states it
#   transform    "signed_log", sign(x) ln(1 + |x|): where a few values are giants; "log", ln x: of
#                numbers above 0; the encoder takes raw numbers in any case
#   missing      true where a step may lack the number
#   min, max     the range of a number
#   classes      the words that there can be
#   description  a text for people
# To leave a column out, take its line out."""


def config_text(
    guess: Guess, *, name: str, workdir: str, pattern: str, missing_text: Iterable[str] = ()
) -> str:
    """Return the configuration, as TOML.

    Args:
      guess: meaning of the columns.
      name: name of the pipeline.
      workdir: name of the work directory.
      pattern: pattern of the raw files, relative to the configuration.
      missing_text: cells that stand for a missing value.
    """
    lines = [
        f"# Written by `ragline init`, by what stands {guess.seen}; look it over once.",
        "#   ragline plan THIS FILE    what a run would find and do, in seconds",
        "#   ragline run THIS FILE     the whole pipeline",
        "# docs/config.md lists every key. Relative paths are relative to this file.",
        "",
        _item("name", name),
        _item("workdir", workdir, "where a run keeps all that it writes"),
        "",
        "[input]",
        _item("train", pattern, "split into train and eval by a hash of the entity"),
    ]
    if guess.group_by:
        lines.append(_item("group_by", list(guess.group_by), "its rows are a sequence"))
    if guess.order_by:
        lines.append(_item("order_by", guess.order_by, "steps are sorted by this time"))
        if guess.time_unit != "s":
            lines.append(_item("time_unit", guess.time_unit, "of times that are numbers"))
    lines += [_item(key, value, _MEANINGS.get(key, "")) for key, value in guess.options.items()]
    if guess.entity:
        lines.append(_item("entity", guess.entity, "all its sequences fall in the same split"))
    if texts := list(missing_text):
        lines.append(_item("missing_text", texts, "cells that stand for a missing value"))
    if "eval_share" not in guess.options:
        lines.append("# eval_share = 0.2             # of the entities")
    lines += [
        "",
        "[input.steps]",
        *(
            _item(key, value, _MEANINGS.get(key, ""))
            for key, value in guess.steps.items()
            if key != TIME_DELTA
        ),
        "# max_length = 4096            # a longer sequence is cut into windows",
    ]
    if guess.order_by:
        lines += [
            "# session_gap = 60.0           # a pause of so many seconds ends a sequence",
            f"{f'# resample = {guess.resample or 1.0}':<30} "
            "# one step each so many seconds, of irregular times",
        ]
    lines += ["", *_features(guess)]
    lines += [
        "",
        "[train]",
        "# epochs = 20                  # else as many as make some 1,000 updates",
        "# units = 64                   # size of the recurrent layers",
        "# embedding_size = 32          # numbers in the vector of a sequence",
    ]
    labels = [each for each in guess.context if len(each.classes) > 1 or kinds.is_number(each.kind)]
    stated = [each for each in guess.context if each.name == guess.label]
    for context in [*stated, *labels][:1]:
        lines += ["", *_head(context)]
    return "\n".join(lines) + "\n"


def _item(key: str, value: Any, comment: str = "") -> str:
    text = tomli_w.dumps({key: value}, multiline_strings=False).strip()
    if "\n" in text:  # A list, which tomli_w writes a line an element.
        text = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    return f"{text:<30} # {comment}" if comment else text


def _features(guess: Guess) -> list[str]:
    """Return the table `[features]`, with the comments that a person edits it by."""
    lines = [_FEATURES, "[features]"]
    for name, missing in guess.features.items():
        options: dict[str, Any] = {"type": "number"}
        if name == TIME_DELTA and guess.steps.get(TIME_DELTA):
            options["derived"] = True
        if transform := guess.transforms.get(name):
            options["transform"] = transform
        if missing:
            options["missing"] = True
        comment = "  # 1% of its values are giants" if transform else ""
        lines.append(_column(name, options) + comment)
    if guess.order_by and TIME_DELTA not in guess.features:
        derived = _column(TIME_DELTA, {"type": "number", "derived": True})
        lines.append(f"# {derived}  # seconds since the step before")
        lines.append("# hour_of_day and day_of_week are lines of the same kind")
    for name, kind in guess.categories.items():
        lines.append(_column(name, {"type": "category", **_values(kind)}))
    for context in guess.context:
        options = {"type": "context", **_values(context.kind)}
        comment = ""
        if kinds.is_text(context.kind) and context.classes:
            if guess.complete:
                options["classes"] = list(context.classes)
            else:
                comment = "  # not all of the data was looked at; classes = [...] would bound it"
        lines.append(_column(context.name, options) + comment)
    return lines


def _values(kind: str) -> dict[str, str]:
    values: dict[str, str] = kinds.pick(
        kind, text={}, integer={"values": "integer"}, number={"values": "number"}
    )
    return values


def _column(name: str, options: Mapping[str, Any]) -> str:
    key = tomli_w.dumps({name: 0}).rpartition(" = ")[0]
    pairs = (f"{k} = {json.dumps(value, ensure_ascii=False)}" for k, value in options.items())
    return f"{key} = {{ {', '.join(pairs)} }}"


def _head(context: Context) -> list[str]:
    """Return a head on a label, commented out: the embedding is learnt without any."""
    lines = [
        "# A head also learns a label from the embedding, of the sequences that have one.",
        "[[heads]]",
        _item("name", "label_head"),
        _item("column", context.name),
        _item("type", "classification" if context.classes else "regression"),
    ]
    if context.classes:
        lines.append(_item("classes", list(context.classes)))
    return [line if line.startswith("#") else f"# {line}" for line in lines]
