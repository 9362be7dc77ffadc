"""Writes config.md and verdict.md beside this file, and tables in three other pages.

Nothing is said twice: keys, types and defaults come from the dataclasses, what they mean from the
`Attributes:` of their docstrings, formats, padding strategies, encoders, decoders and metrics from
their registries.
Run `python docs/generate_config.py` after an edit of any; tests/test_docs.py fails until then.
"""

import collections.abc
import dataclasses
import inspect
import json
import pathlib
import re
import types
import typing
from collections.abc import Iterator

from ragline.components.contract.registry import Choice
from ragline.components.evaluate.metrics import METRICS
from ragline.components.evaluate.metrics.interface import ReconstructionMetric
from ragline.components.evaluate.verdict.rules import Rule, Rules
from ragline.components.ingest import formats
from ragline.components.train import decoders, encoders, padding
from ragline.components.train.options import TrainOptions
from ragline.pipeline.config import Config

PAGE = pathlib.Path(__file__).with_name("config.md")
VERDICT_PAGE = PAGE.with_name("verdict.md")
FORMATS_PAGE = PAGE.with_name("ingest.md")
PADDING_PAGE = PAGE.with_name("padding.md")
ENCODERS_PAGE = PAGE.with_name("extending.md")
_FORMATS_HEAD = "| what you have | format | a record is | needs |\n|---|---|---|---|\n"
_PADDING_HEAD = "| `train.padding` | how | in the code |\n|---|---|---|\n"
_ENCODERS_HEAD = "| `train.encoder` | reads by |\n|---|---|\n"
_DECODERS_HEAD = "| `train.decoder` | writes by |\n|---|---|\n"

_HEAD = """\
<!-- Written by docs/generate_config.py; edit the docstrings it reads, not this page. -->

# Configuration

A configuration is one TOML file. The smallest one:

```toml
name = "gestures"
schema = "gestures"
workdir = "run"

[input]
train = "data/*.jsonl"
```

### The five keys you will touch

`ragline init` writes the rest, and every other key has a default that works.

| key | when |
|---|---|
| `input.entity` | sequences of one person or machine must not fall on both sides of the split |
| `input.steps.max_length` | sequences are long, and pieces of them are what you look for |
| `train.embedding_size` | the vector is to be smaller, or keep more |
| `train.epochs` | a first try is to end sooner, or the curves of the report still fall at the end |
| `quarantine.max_share` | more than 1% of the records are bad, and you can live without them |

### How it is read

- A relative path in the file is relative to the file; one on the command line, to the folder the
  command runs in. A path with `://` stays as it is.
- `ragline run CONFIG --set KEY=VALUE` replaces a value, such as `--set train.epochs=5`. The value
  is TOML; what is no TOML is text, so that `--set train.strategy=one` needs no quotes.
- `--workdir DIR` replaces `workdir`.
- Every mistake is refused before anything runs, with exit code 2 and one line: the file, the key,
  what was expected and what was received. Types are strict: `"5"` and `5.0` are no integers.
- Exit codes of all commands are in the [README](../README.md#how-a-run-ends).
- A run keeps the resolved configuration in `runs/<run id>/config.toml`, with `***` for secrets
  ([reliability.md](reliability.md), Security).
- What a record must be stands in `[features]`, a line a column, as `ragline init` writes it, or in
  a schema of TF Metadata (`schema = "mine.pbtxt"`), which TFX is given in either case.
- [ingest.md](ingest.md) has an example of `[input]` for each format, and the policies side by side.
"""

_VERDICT = """\
<!-- Written by docs/generate_config.py; edit the docstrings it reads, not this page. -->

# What blesses a model

The rules are in `schemas/<name>.verdict.toml`, beside the schema; without that file, the defaults
hold. In any case a model is blessed only if all its answers on the eval split are finite, if it
reconstructs better than the training mean, if its objective is below 1, if the split has `min_eval`
sequences, and if its normalised MSE is not worse than the newest blessed model's by more than
`most_worse_than_newest`. The first model has none to be compared with, and its verdict says so.
Every rule that does not hold is a sentence in the summary, the report and the log, such as
`masked_mse 0.412 on length_bucket=8-15 is above 0.4`; the run ends with 4 and pushes nothing.

The objective is one number, by which the training chooses its epoch, stops, and is judged: the
weighted mean of all terms, each divided by what its trivial baseline reaches on the eval split. 1
is as good as answering the same for every sequence, 0 is perfect.

| term | weight | error | trivial baseline |
|---|---|---|---|
| the values | 1 | `normalised_mse`: mean over features of error / variance | each feature's mean |
| a category | 1 | cross-entropy | frequencies of its words in training |
| a classification | the head's | cross-entropy | frequencies of its classes in training |
| a regression | the head's | squared error | mean of its labels in training |
| one of `[[terms]]` | its own | its own | what it says; without one, it has no part in the choice |

Frequencies are counts plus 1. A constant value has no term. The report shows a bigram beside each
category as well, which reads the true word of the step before; no rule can use it.

The verdict also reports, in the terminal, the summary and the report, without refusing the model:

- a term that ended above its start (epoch 0, the linear path alone), above its trivial baseline,
  above the PCA or, in accuracy, below the most frequent answer;
- a feature whose error is not below its variance, and a training whose start was kept;
- a label that a PCA or statistics of the embedding's size predict better than the embedding does,
  by more than 0.02 of balanced accuracy: it may be nothing that the embedding is for.

A rule of your own can refuse these: `normalised_mse` against `pca`, `at_most = 1.0`; or
`metric = "probe/label/auc"`, `against = "statistics"`, `at_least = 1.0`.

`ragline run CONFIG --force-bless "why"` blesses in any case, and keeps the reason with the verdict.
It never passes a model with an answer that is not finite, nor one that fails the padding contract.
`ragline run CONFIG --new-signature "why"` lets the model have other inputs or outputs than the
served one. If the served model takes columns that the records no longer have, the two are not
compared, and the verdict says so.

## Metrics

{metrics}

Each context column that is a label has probes
(`components/evaluate/baselines/embedding_probes.py`), which `pca`, `statistics` and `untrained`
have as well: `probe/<label>/accuracy`, `balanced_accuracy` and `auc` of logistic regression, and
the accuracy of the `nearest_neighbour`. The counts are `sequences`, `steps`, `values` and
`finite_sequences`. Packages can add metrics ([extending.md](extending.md#a-metric)). All but the
counts and those of the embedding have a 95% interval over sequences, by a jackknife
(`components/evaluate/metrics/formulas.py`).

`against` works for metrics marked "yes" above, and for probes. Between two models only
`normalised_mse` is compared: standardised units are as wide as the training data varied, and a
model trained on outliers has small errors in its own.

A slice is `overall`, or a value of `length_bucket`, of `missing_bucket` where the schema declares
it, or of a context column of text or integers: the 20 values with the most sequences.
"""

_WORDS = {str: "text", int: "integer", float: "number", bool: "true or false"}


def render(config: type = Config) -> str:
    """The whole page."""
    parts = [_HEAD, "## Top level", "\n".join(rows(config)), *_tables(config)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def render_verdict() -> str:
    """The whole page of verdict files."""
    parts = [
        _VERDICT.replace("{metrics}", "\n".join(metrics())),
        "## Top level",
        "\n".join(rows(Rules)),
    ]
    parts += ["## `[[rules]]`: a metric, and where it must lie", "\n".join(rows(Rule))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def metrics() -> Iterator[str]:
    """A Markdown table of ragline's own metrics."""
    yield "| metric | is | better | the baselines have it |"
    yield "|---|---|---|---|"
    words = {True: "lower", False: "higher", None: ""}
    for name in METRICS.own:
        metric = METRICS[name]
        part = metric.part and f"<{metric.part}>"
        compared = "yes" if issubclass(metric, ReconstructionMetric) else ""
        cells = (f"`{metric.name_of(part)}`", metric.meaning, words[metric.lower_is_better])
        yield f"| {' | '.join((*cells, compared))} |"


def render_formats(page: str) -> str:
    """The page of data formats, with the table of those that ragline itself has."""
    table = "".join(
        f"| {use.files} | `{name}` | {use.record} |{f' {use.needs} ' if use.needs else ' '}|\n"
        for name in formats.FORMATS.own
        for use in formats.of(name).uses
    )
    return _with_table(page, _FORMATS_HEAD, table)


def render_padding(page: str) -> str:
    """The page of padding, with the table of the strategies that ragline itself has."""
    own = ((name, padding.of(name)) for name in padding.STRATEGIES.own)
    table = "".join(
        f"| `{name}`{' (default)' if name == TrainOptions().padding else ''} "
        f"| {strategy.how} | `{strategy.symbol}` |\n"
        for name, strategy in own
    )
    return _with_table(page, _PADDING_HEAD, table)


def render_encoders(page: str) -> str:
    """The page on extending, with the tables of ragline's own encoders and decoders."""
    for head, registry in (
        (_ENCODERS_HEAD, encoders.ENCODERS),
        (_DECODERS_HEAD, decoders.DECODERS),
    ):
        page = _with_table(
            page, head, "".join(f"| `{name}` | {registry[name].how} |\n" for name in registry.own)
        )
    return page


def _with_table(page: str, head: str, table: str) -> str:
    """A page with other rows below the head of a table."""
    before, head, after = page.partition(head)
    _, end, rest = after.partition("\n\n")
    return f"{before}{head}{table}\n{rest}" if end else page


def _tables(of: type, above: str = "") -> Iterator[str]:
    """The sections of the tables in a table, each followed by those in it."""
    meanings = attributes(of)
    for field in dataclasses.fields(of):
        if table := _table(field.type):
            key = f"{above}{field.name}"
            listed = typing.get_origin(field.type) is tuple
            title = f"[[{key}]]" if listed else f"[{key}]"
            meaning = meanings[field.name].rstrip(".")
            yield f"## `{title}`: {meaning}"
            if not listed and table is not field.type:
                yield "An entry is `NAME = { KEY = VALUE, ... }`, a line each, with these keys:"
            yield "\n".join(rows(table))
            yield from _tables(table, f"{key}.")


def rows(table: type) -> Iterator[str]:
    """A Markdown table of a dataclass: a row for each field that is no table itself."""
    meanings = attributes(table)
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for field in dataclasses.fields(table):
        if not _table(field.type):
            cells = (f"`{field.name}`", _kind(field.type), _default(field), meanings[field.name])
            escaped = (cell.replace("|", r"\|") for cell in cells)
            linked = (re.sub(r"docs/(\w+\.md)", r"[\1](\1)", cell) for cell in escaped)
            yield f"| {' | '.join(linked)} |"


def attributes(table: type) -> dict[str, str]:
    """What the `Attributes:` of a dataclass's docstring say of each field.

    Raises:
      ValueError: if they are not exactly the fields.
    """
    _, _, section = inspect.cleandoc(table.__doc__ or "").partition("\nAttributes:\n")
    entries = re.findall(r"^  (\w+): (.*(?:\n {4,}.*)*)", section, re.MULTILINE)
    meanings = {name: " ".join(text.split()) for name, text in entries}
    fields = [field.name for field in dataclasses.fields(table)]
    if list(meanings) != fields:
        raise ValueError(
            f"{table.__name__}: expected attributes {fields}, received {list(meanings)}"
        )
    return meanings


def _table(kind: typing.Any) -> type | None:
    """The dataclass of a table, or of each table in a list or a table of them."""
    for candidate in (kind, *typing.get_args(kind)):
        if dataclasses.is_dataclass(candidate):
            return typing.cast(type, candidate)
    return None


def _kind(kind: typing.Any) -> str:
    """A field's type in words."""
    if kind in _WORDS:
        return _WORDS[kind]
    of = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Annotated if isinstance(of[1], Choice):
            return " or ".join(f"`{json.dumps(name)}`" for name in of[1].own) or _WORDS[str]
        case typing.Literal:
            return " or ".join(f"`{json.dumps(word)}`" for word in of)
        case types.UnionType if of[1:] == (type(None),):
            return _kind(of[0])
        case collections.abc.Mapping:
            return "table"
        case origin if origin is tuple and of[1:] == (...,):
            return f"list of {_kind(of[0])}"
    raise TypeError(f"expected a type that TOML has, received {kind}")


def _default(field: "dataclasses.Field[typing.Any]") -> str:
    """A field's default as TOML."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{json.dumps(field.default_factory())}`"
    if field.default is dataclasses.MISSING:
        return "required"
    return "unset" if field.default is None else f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    VERDICT_PAGE.write_text(render_verdict(), encoding="utf-8")
    for page, render_table in (
        (FORMATS_PAGE, render_formats),
        (PADDING_PAGE, render_padding),
        (ENCODERS_PAGE, render_encoders),
    ):
        page.write_text(render_table(page.read_text(encoding="utf-8")), encoding="utf-8")
