"""The examples on the page of data formats do what the page says of them.

A fenced block after a line "`name`:" is that file's content; one in Python writes its file; one in
TOML is a configuration, to which the first one of the page is added where it has no name of its
own. "Read as 2 sequences, 4 steps" is what the configuration before it makes of the files so far.
"""

import dataclasses
import json
import pathlib
import re
import runpy
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.files.storage import read_json
from ragline.components.ingest import formats
from ragline.components.ingest.beam import grouping, process
from ragline.components.ingest.beam.process import IngestContext
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.source import beginnings, read_plan
from ragline.components.validate import features
from ragline.pipeline.config import Config, load

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"(?:^`(?P<file>[\w.]+)`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    r"|^Read as (?P<sequences>\d+) sequences?, (?P<steps>\d+) steps"
    r"(?:; (?P<quarantined>\d+) records? (?:is|are) quarantined)?\.$",
    re.MULTILINE | re.DOTALL,
)
BLOCKS = list(_BLOCK.finditer(PAGE))
CONFIGS = [block["text"] for block in BLOCKS if block["language"] == "toml"]
HEAD = next(text for text in CONFIGS if text.startswith("name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A configuration, what the page shows before it, and what it says comes of it.

    Attributes:
      files: name -> content.
      script: what writes a file in Python; "" if none does.
      config: TOML.
      counts: sequences, steps, and quarantined records.
      quarantine: the lines of it that are shown.
    """

    files: dict[str, str]
    script: str
    config: str
    counts: tuple[int, int, int]
    quarantine: str


def _examples() -> Iterator[Example]:
    files = {block["file"]: block["text"] for block in BLOCKS if block["file"]}
    script = config = quarantine = ""
    for block in BLOCKS:
        match block["language"]:
            case "python":
                script = block["text"]
            case "toml":
                config = block["text"]
            case "quarantine":
                quarantine = block["text"]
        if block["sequences"]:
            counts = (int(block["sequences"]), int(block["steps"]), int(block["quarantined"] or 0))
            yield Example(
                files=files, script=script, config=config, counts=counts, quarantine=quarantine
            )
            script = config = quarantine = ""


EXAMPLES = list(_examples())


def _load(folder: pathlib.Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(text if text.startswith("name") else f"{HEAD}\n{text}", encoding="utf-8")
    return load(path)


def _write_schemas(folder: pathlib.Path) -> None:
    for block in BLOCKS:
        if block["language"] == "pbtxt":
            (folder / block["file"]).write_text(block["text"], encoding="utf-8")


def _parts(context: IngestContext, planned: read_plan.ReadPlan) -> Iterator[process.FilePart]:
    """What the Beam part of ingest hands to `process`."""
    pieces = [piece for unit in planned.units for piece in unit.pieces]
    if not context.options.group_by:
        for piece in pieces:
            for part in formats.of(piece.file.format).read(
                piece, context.raw_columns, context.options
            ):
                yield piece.file, part, 0
        return
    rows = [
        part
        for piece in pieces
        for part in formats.of(piece.file.format).rows(piece, context.raw_columns, context.options)
    ]
    for grouped in grouping.to_chunks(rows, context.raw_columns):
        yield context.files[grouped.file], grouped.part, grouped.rejected_rows


def _ingested(folder: pathlib.Path, config: Config) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All of ingest but Beam: the report, and the quarantine."""
    schema = schemas.load(config.schema) if config.schema else features.to_schema(config.features)
    columns = Columns.from_schema(schema)
    folders = {split: folder / split for split in SPLITS}
    for each in folders.values():
        each.mkdir()
    context = IngestContext(
        columns=columns, options=config.input, files=(), folders=folders, staging=folder
    )
    planned = read_plan.make(config.input, context.raw_columns, 1 << 20)
    context = dataclasses.replace(context, files=planned.files)
    process.write_shards(0, _parts(context, planned), context)
    quarantine = pathlib.Path(process.quarantine_file(folder, 0))
    lines = quarantine.read_text("utf-8").splitlines() if quarantine.exists() else []
    return read_json(process.report_file(folder, 0)), [json.loads(line) for line in lines]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_read_as_the_page_says(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, example: Example
) -> None:
    for name, text in example.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if example.script:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "script.py").write_text(example.script, encoding="utf-8")
        runpy.run_path(str(tmp_path / "script.py"))
    report, quarantine = _ingested(tmp_path, _load(tmp_path, example.config))
    assert "failure" not in report
    steps = sum(shard["steps"] for shard in report["shards"].values())
    assert (sum(report["written"].values()), steps, len(quarantine)) == example.counts
    for line in quarantine:
        line["file"] = pathlib.Path(line["file"]).name
    assert quarantine == [json.loads(line) for line in example.quarantine.splitlines()]


@pytest.mark.parametrize("text", CONFIGS)
def test_a_configuration_of_the_page_loads(tmp_path: pathlib.Path, text: str) -> None:
    _write_schemas(tmp_path)
    if "[input]" not in text:
        text += '[input]\ntrain = "x.jsonl"\n'
    assert _load(tmp_path, text).input.train


def test_every_block_of_the_page_is_part_of_an_example() -> None:
    fenced = [block for block in BLOCKS if block["text"] is not None]
    assert PAGE.count("\n```") == 2 * len(fenced)
    assert sum(bool(example.script) for example in EXAMPLES) == PAGE.count("```python")
    for block in fenced:
        if block["language"] not in {"toml", "python", "quarantine"}:
            uses = CONFIGS if block["language"] == "pbtxt" else [e.config for e in EXAMPLES]
            assert any(f'"{block["file"]}"' in config for config in uses), block["text"]


def test_every_format_has_an_example() -> None:
    shown = set()
    for example in EXAMPLES:
        options = tomllib.loads(example.config)["input"]
        shown.add(options.get("format") or beginnings.guess(options["train"]))
    assert shown == {*formats.FORMATS}


def test_the_table_of_policies_is_that_of_the_options() -> None:
    section = PAGE.partition("\n## Policies\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", section, re.MULTILINE)
    hints = get_type_hints(StepOptions)
    expected = {}
    for field in dataclasses.fields(StepOptions):
        words = get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else ()
        plain = field.default if words else json.dumps(field.default)
        default = "unset" if field.default is None else f"`{plain}`"
        expected[field.name] = (", ".join(f"`{word}`" for word in words), default)
    assert sorted(name for name, *_ in rows) == sorted(expected)
    for name, values, default in rows:
        words, known = expected[name]
        assert (words or values, known) == (values, default), name
