"""Draft a commented configuration and schema from a guess, for a person to curate.

Pure. Both files work as they are; a key that is commented out has its default value.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import tomli_w
from google.protobuf import text_encoding

from ragline.components.contract.columns import (
    ENTITY_ID,
    LENGTH,
    LENGTH_BUCKET,
    MISSING_BUCKET,
    SEQUENCE_ID,
    TIME_DELTA,
)
from ragline.pipeline.onboard.guess import Context, Guess

_MEANINGS = {
    "columns": "the first line of a file is no header",
    "date": "the column of the day",
    "decimal": "the mark between whole numbers and fractions",
    "delimiter": "a blank stands for runs of blanks",
    "duplicate_time": "steps of one time are one step, the last value of each column in it",
    "eval_share": "of the entities",
    "padding_value": "what stands in padding, behind the last step",
    "time_delta": "the feature of that name: seconds since the step before",
    "time_format": "as strptime has it",
    "value": "the column of what was measured",
    "variable": "the column that says of what a row is a measurement",
}
_TYPES = {"bytes": "BYTES", "int": "INT", "float": "FLOAT"}


def config_text(
    guess: Guess, *, name: str, pattern: str, schema: str, missing_text: Iterable[str] = ()
) -> str:
    """Return the configuration, as TOML.

    Args:
      guess: meaning of the columns.
      name: name of the pipeline.
      pattern: pattern of the raw files, relative to the configuration.
      schema: file name of the schema, beside the configuration.
      missing_text: cells that stand for a missing value.
    """
    lines = [
        f"# Written by `ragline init`, by what stands {guess.seen}; look it over once.",
        "#   ragline plan THIS FILE    what a run would find and do, in seconds",
        "#   ragline run THIS FILE     the whole pipeline",
        "# docs/config.md lists every key. Relative paths are relative to this file.",
        "",
        _item("name", name),
        _item("schema", schema, "what a record must be: features, units, what may be missing"),
        _item("workdir", f"{name}-run", "where a run keeps all that it writes"),
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
        *(_item(key, value, _MEANINGS.get(key, "")) for key, value in guess.steps.items()),
        "# max_length = 4096            # a longer sequence is cut into windows",
    ]
    if guess.order_by:
        lines.append("# session_gap = 60.0           # a pause of so many seconds ends a sequence")
    if guess.order_by and "time_delta" not in guess.steps:
        lines.append(
            f"# time_delta = true            # times at irregular distances: a feature {TIME_DELTA}"
            ", which the schema must have"
        )
    lines += [
        "",
        "[train]",
        "# epochs = 20                  # else as many as make some 1,000 updates",
        "# units = 64                   # size of the recurrent layers",
        "# embedding_size = 32          # numbers in the vector of a sequence",
    ]
    for context in guess.context:
        if len(context.classes) > 1 or context.kind == "float":
            lines += ["", *_head(context)]
            break
    return "\n".join(lines) + "\n"


def _item(key: str, value: Any, comment: str = "") -> str:
    text = tomli_w.dumps({key: value}, multiline_strings=False).strip()
    if "\n" in text:  # A list, which tomli_w writes a line an element.
        text = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    return f"{text:<30} # {comment}" if comment else text


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


_TOP = """\
# What a record must be: the contract of the data, which every run holds it to; what breaks it stops
# the run. Written by `ragline init`, for a person to curate:
#   - add `min: 0` or `max: 100` to a float_domain: a value outside stops the run;
#   - take disallow_nan away where values may be missing, or put it there where none may;
#   - add `annotation {{ tag: "unit:m/s" }}` to a feature: the served encoder states it;
#   - to drop a column, take out its `feature` and its entry in tensor_representation_group.
# The order of the features is that of the encoder's inputs. ragline itself writes {written}.
"""

_SEQUENCES = f"""\
feature {{
  name: "{SEQUENCE_ID}"
  type: BYTES
  presence {{ min_fraction: 1 min_count: 1 }}
  shape {{ dim {{ size: 1 }} }}
}}

# All sequences of one entity fall in the same split.
feature {{
  name: "{ENTITY_ID}"
  type: BYTES
  presence {{ min_fraction: 1 min_count: 1 }}
  shape {{ dim {{ size: 1 }} }}
}}

# Steps of the sequence, counted, never inferred from values.
feature {{
  name: "{LENGTH}"
  type: INT
  presence {{ min_fraction: 1 min_count: 1 }}
  shape {{ dim {{ size: 1 }} }}
  int_domain {{ min: 1 }}
}}

# The ranges that the length, and the share of missing values, fall in: metrics are sliced by them.
feature {{
  name: "{LENGTH_BUCKET}"
  type: BYTES
  presence {{ min_fraction: 1 min_count: 1 }}
  shape {{ dim {{ size: 1 }} }}
}}
feature {{
  name: "{MISSING_BUCKET}"
  type: BYTES
  value_count {{ min: 0 max: 1 }}
}}
"""


def schema_text(guess: Guess, *, complete: bool) -> str:
    """Return the schema, as the text of a TF Metadata Schema.

    Args:
      guess: meaning of the columns.
      complete: whether all data was read, so that no other class of a label can turn up.
    """
    written = (SEQUENCE_ID, ENTITY_ID, LENGTH, LENGTH_BUCKET, MISSING_BUCKET)
    blocks = [
        _TOP.format(written=", ".join(written[:-1]) + f" and {written[-1]}"),
        _rule("What a sequence is"),
        _SEQUENCES,
        _rule("Features: one number a step"),
        *(_feature(name, missing) for name, missing in guess.features.items()),
    ]
    if guess.categories:
        blocks.append(_rule("Categories: one word or id a step"))
        blocks += [_category(name, kind) for name, kind in guess.categories.items()]
    if guess.context:
        blocks.append(_rule("Context: one value a sequence, which may be absent"))
        blocks += [_context(context, complete=complete) for context in guess.context]
    blocks.append(_rule("How each column becomes a tensor"))
    blocks.append(_representations(guess))
    return "\n".join(blocks)


def _rule(text: str) -> str:
    return f"# --- {text} ".ljust(98, "-") + "\n"


def _feature(name: str, missing: bool) -> str:
    nan = "" if missing else "disallow_nan: true "
    comment = "# Values may be missing: NaN in a record.\n" if missing else ""
    return (
        f"{comment}feature {{\n  name: {_quoted(name)}\n  type: FLOAT\n"
        "  presence { min_fraction: 1 min_count: 1 }\n  value_count { min: 1 }\n"
        f"  float_domain {{ {nan}disallow_inf: true }}\n}}\n"
    )


def _category(name: str, kind: str) -> str:
    return (
        f"feature {{\n  name: {_quoted(name)}\n  type: {_TYPES[kind]}\n"
        "  presence { min_fraction: 1 min_count: 1 }\n  value_count { min: 1 }\n}\n"
    )


def _context(context: Context, *, complete: bool) -> str:
    lines = [
        "feature {",
        f"  name: {_quoted(context.name)}",
        f"  type: {_TYPES[context.kind]}",
        "  value_count { min: 0 max: 1 }",
    ]
    if context.kind == "bytes" and context.classes:
        domain = [
            "  # A class that is not listed stops the run.",
            "  string_domain {",
            f"    name: {_quoted(context.name)}",
            *(f"    value: {_quoted(value)}" for value in context.classes),
            "  }",
        ]
        if not complete:
            domain = ["  # Not all of the data was looked at; there may be other classes."]
        lines += domain
    return "\n".join([*lines, "}\n"])


def _representations(guess: Guess) -> str:
    representations: Mapping[str, str] = {
        **{
            name: f'dense_tensor {{ column_name: "{name}" shape {{}} }}'
            for name in (SEQUENCE_ID, ENTITY_ID, LENGTH, LENGTH_BUCKET)
        },
        MISSING_BUCKET: f'varlen_sparse_tensor {{ column_name: "{MISSING_BUCKET}" }}',
        **{
            name: f"ragged_tensor {{ feature_path {{ step: {_quoted(name)} }} "
            "row_partition_dtype: INT64 }"
            for name in (*guess.features, *guess.categories)
        },
        **{
            context.name: f"varlen_sparse_tensor {{ column_name: {_quoted(context.name)} }}"
            for context in guess.context
        },
    }
    entries = "\n".join(
        f"    tensor_representation {{\n      key: {_quoted(name)}\n"
        f"      value {{ {text} }}\n    }}"
        for name, text in representations.items()
    )
    return f'tensor_representation_group {{\n  key: ""\n  value {{\n{entries}\n  }}\n}}\n'


def _quoted(text: str) -> str:
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'
