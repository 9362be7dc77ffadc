"""A format of another package, as docs/extending.md shows it, is read like ragline's own."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
from commands import ragline
from ingest.whole_runs import IN_PROCESS, run

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.errors import UsageError
from ragline.components.contract.registry import Choice, Registry
from ragline.components.ingest import formats, samples
from ragline.components.ingest.source import beginnings
from ragline.pipeline.cache import cache_key

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = {
    name: text
    for name, text in re.findall(
        r"^(?:Module )?`([\w.]+)`:\n\n```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
}
WORKERS = (
    "--runner=ragline.components.runtime.local_runner.LocalRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
    "--beam_plugin=ragline.components",
    "--sdk_container_image=none",
)


def install(folder: pathlib.Path, name: str, modules: dict[str, str], entry_points: str) -> None:
    """Writes what an installer leaves of a distribution."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    for module, source in modules.items():
        (folder / module).write_text(source, encoding="utf-8")


def entry_points_of(project: str) -> str:
    """The entry points that a pyproject.toml declares, as an installer writes them."""
    groups = tomllib.loads(project)["project"]["entry-points"]
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in groups.items()
    )


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A folder of installed distributions, for this process and those that it starts."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    formats.FORMATS.__dict__.pop("_entry_points", None)
    yield folder
    formats.FORMATS.__dict__.pop("_entry_points", None)
    sys.modules.pop("walks", None)


@pytest.fixture
def walks(site: pathlib.Path) -> pathlib.Path:
    """The page's package, installed; returns its file of data."""
    install(
        site,
        "walks",
        {"walks.py": BLOCKS["walks"]},
        entry_points_of(BLOCKS["pyproject.toml"]),
    )
    path = site.parent / "monday.walk"
    path.write_text(BLOCKS["monday.walk"], encoding="utf-8")
    return path


@pytest.mark.parametrize("beam_arguments", [IN_PROCESS, WORKERS], ids=["in_process", "workers"])
def test_a_run_reads_it_in_every_process(
    walks: pathlib.Path, beam_arguments: tuple[str, ...]
) -> None:
    features = [Feature(name=name, unit=None, allow_missing=False) for name in ("ax", "ay")]
    columns = Columns(features=tuple(features), context={})
    text = walks.read_text().replace("walk-2", "bad: 1\nwalk-2")
    walks.write_text(text)
    place = run(
        walks.parent / "run",
        schema=columns,
        max_share=0.5,
        beam_arguments=beam_arguments,
        train=str(walks),
    )
    account = place.read_account()
    assert (account["read"], account["accepted"], account["formats"]) == (3, 2, {"walks": 1})
    [line] = place.read_quarantine()
    assert (line["sequence_id"], line["code"]) == (None, "number_format")
    records = place.read_examples()
    [record] = [r for split in records.values() for name, r in split.items() if name == "walk-1"]
    assert (record["ax"], record["length"]) == ([0.5, 1.0, 1.5], [3])


def test_the_commands_know_it(walks: pathlib.Path) -> None:
    folder = walks.parent
    done = ragline("init", "--help", cwd=folder, anew=True)
    assert re.search(r"auto, csv, [^:]*sequence_example,\s+walks", done.stdout), done.stdout
    done = ragline("init", "--input", walks, "--output", "c.toml", cwd=folder, anew=True)
    assert done.returncode == 0, done.stderr
    assert "1 file of format walks" in done.stderr
    done = ragline("plan", "c.toml", cwd=folder, anew=True)
    assert "walks" in done.stdout + done.stderr
    done = ragline("plan", "c.toml", "--set", "input.format=wlaks", cwd=folder, anew=True)
    assert "'walks', received 'wlaks'" in done.stderr


def test_its_code_counts_in_the_cache_s_key(walks: pathlib.Path) -> None:
    digest = cache_key.source.__wrapped__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_key, "_plug_ins", list)
        without = digest()
    first = digest()
    module = walks.parent / "site" / "walks.py"
    module.write_text(module.read_text() + "# changed\n")
    assert len({without, first, digest()}) == 3


def test_its_name_or_its_first_bytes_say_it(walks: pathlib.Path) -> None:
    assert beginnings.guess(str(walks)) == "walks"
    assert samples.take([str(walks)]).lengths.tolist() == [3, 2]
    assert [*formats.NAMES][-1] == "walks" and "walks" not in formats.FORMATS.own


def test_a_start_looks_for_no_package_and_no_format() -> None:
    code = (
        "import sys; from ragline.pipeline.cli.arguments import parser\n"
        "try: parser().parse_args(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "from ragline.components.ingest import formats\n"
        "looked = '_entry_points' in formats.FORMATS.__dict__\n"
        "print(looked, 'pyarrow' in sys.modules, 'fastavro' in sys.modules, file=sys.stderr)"
    )

    def said(*arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stderr.strip()

    assert said("--help") == "False False False"
    assert said("init", "--input", "x", "--format", "csv") == "False False False"
    assert said("init", "--help") == "True False False"


def test_a_package_that_cannot_be_imported_is_named(site: pathlib.Path) -> None:
    install(site, "broken", {}, "[ragline.formats]\nlost = nowhere:Lost\n")
    with pytest.raises(
        UsageError, match="format 'lost' of broken: expected to import nowhere:Lost"
    ):
        formats.of("lost")


def test_two_of_one_name_are_refused(site: pathlib.Path) -> None:
    install(site, "other", {}, "[ragline.formats]\ncsv = other:Csv\n")
    with pytest.raises(UsageError, match=r"'csv': expected one .* of ragline and other: uninstall"):
        formats.of("nope")
    install(site, "again", {}, "[ragline.terms]\nx = again:X\n")
    install(site, "more", {}, "[ragline.terms]\nx = more:X\n")
    with pytest.raises(UsageError, match="term 'x': expected one implementation"):
        list(Registry("term", "ragline.terms", __name__, {}))


def test_a_registry_lists_its_own_first(site: pathlib.Path) -> None:
    install(site, "b", {}, "[ragline.things]\nb = b:B\na = b:A\n")
    things: Registry[type] = Registry("thing", "ragline.things", "unittest", {"z": "case:TestCase"})
    assert ([*things], len(things), things.own, things.added) == (
        ["z", "a", "b"],
        3,
        ("z",),
        ("a", "b"),
    )
    assert things["z"].__name__ == "TestCase" and "c" not in things and "a" in things
    with pytest.raises(KeyError):
        things["c"]
    choice = Choice(things, ("auto",))
    assert str(choice) == "'auto', 'z', 'a' or 'b'"
    assert choice.mistakes("thing", "a") == []
    assert choice.mistakes("thing", "c") == [f"thing: expected {choice}, received 'c'"]
    assert importlib.metadata.version("b") == "1.0" and os.environ["PYTHONPATH"] == str(site)
