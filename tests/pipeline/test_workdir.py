import dataclasses
import os
import pathlib
import subprocess
import tomllib

import pytest
from commands import python

from ragline.components.ingest.options import InputOptions
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs import workdir


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(
        name="n",
        schema="gestures",
        workdir=str(tmp_path / "work"),
        input=InputOptions(train="x"),
    )


def test_a_session_makes_its_folder_and_keeps_the_configuration(config):
    with workdir.opened(config) as session:
        assert session.folder == session.workdir / "runs" / session.run_id
        kept = tomllib.loads((session.folder / "config.toml").read_text())
    assert kept["input"]["train"] == "x"
    assert kept["train"]["units"] == 64


def test_only_one_holds_a_work_directory(config):
    with workdir.opened(config) as session:
        before = sorted(session.workdir.rglob("*"))
        with (
            pytest.raises(
                workdir.BusyError, match=rf"another run holds it \(process {os.getpid()}\)"
            ),
            workdir.opened(config),
        ):
            pass
        assert sorted(session.workdir.rglob("*")) == before
    with workdir.opened(config):
        pass


def test_run_ids_sort_by_time_and_differ(config):
    ids = []
    for _ in range(3):
        with workdir.opened(config) as session:
            ids.append(session.run_id)
    assert len(set(ids)) == 3
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)


@pytest.mark.parametrize("where", ["a file", "below a file"])
def test_a_work_directory_that_cannot_be_made_is_a_bad_configuration(config, where):
    file = pathlib.Path(config.workdir)
    file.write_text("not a folder")
    folder = file if where == "a file" else file / "deeper"
    with (
        pytest.raises(ConfigError, match=r"workdir: .*(File exists|Not a directory)"),
        workdir.opened(dataclasses.replace(config, workdir=str(folder))),
    ):
        pass
    assert file.read_text() == "not a folder"


def _chatter(config: Config, **options: bool) -> subprocess.CompletedProcess[str]:
    """In a process of its own, whose file descriptors are really redirected, C++ and all."""
    code = f"""
import logging, os, sys
from ragline.components.ingest.options import InputOptions
from ragline.pipeline.runs import workdir
from ragline.pipeline.config import Config

config = Config(
    name="n", schema="gestures", workdir={config.workdir!r}, input=InputOptions(train="x")
)
with workdir.opened(config, **{options!r}) as session:
    print("from print")
    os.write(2, b"from C++\\n")
    logging.getLogger("absl").warning("from absl")
    logging.getLogger("ragline.train").info("from ragline")
    session.display.line("from the session")
    print(session.folder, file=sys.__stderr__)
print("afterwards")
"""
    return python("-c", code, check=True)


CHATTER = ("from print", "from C++", "from absl", "from ragline")


def test_chatter_goes_to_the_log_and_our_own_words_to_both(config):
    done = _chatter(config)
    assert done.stdout == "afterwards\n"
    message, ours, session = done.stderr.splitlines()
    assert message.startswith("run ")
    assert (ours.strip(), session) == ("from ragline", "from the session")
    [log] = pathlib.Path(config.workdir).rglob("log.txt")
    text = log.read_text()
    for words in CHATTER:
        assert words in text


def test_verbose_shows_the_chatter_too(config):
    done = _chatter(config, verbose=True)
    assert done.stdout == "afterwards\n"
    for words in (*CHATTER, "from the session"):
        assert words in done.stderr
    [log] = pathlib.Path(config.workdir).rglob("log.txt")
    assert "from C++" in log.read_text()
