"""What stands in examples/ for schedulers: the units verify, and their command runs."""

import configparser
import datetime
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from commands import ROOT

UNITS = sorted((ROOT / "examples" / "systemd").iterdir())


def _run(command: list[str] | str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **more)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not there")
def test_systemd_takes_the_units():
    done = _run(["systemd-analyze", "verify", "--man=no", *map(str, UNITS)])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_exit_codes_of_the_service_are_those_of_the_command():
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.optionxform = str
    service.read(ROOT / "examples" / "systemd" / "ragline.service")
    assert service["Service"]["SuccessExitStatus"] == "4 143"
    assert service["Service"]["RestartPreventExitStatus"] == "2 3"


def _commands() -> dict[str, str]:
    """The service's command and the crontab's, as a shell gets them."""
    service = (ROOT / "examples" / "systemd" / "ragline.service").read_text()
    [of_service] = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", service, re.MULTILINE)
    crontab = (ROOT / "examples" / "crontab").read_text()
    [of_cron] = re.findall(r"^0 2 \* \* \* (.*) 2>>.*$", crontab, re.MULTILINE)
    return {"systemd": of_service.replace("%%", "%"), "cron": of_cron.replace(r"\%", "%")}


def test_cron_and_systemd_run_one_command():
    """But for `exec`, by which the service is ragline itself."""
    commands = _commands()
    assert commands["systemd"].replace("exec ", "", 1) == commands["cron"]


def test_the_command_asks_for_yesterdays_span(tmp_path: pathlib.Path):
    """Of data that hold an older day alone, so that it stops before anything is trained."""
    day = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)
    (tmp_path / "2001-01-01.jsonl").write_text("{}\n")
    (tmp_path / "nightly.toml").write_text(
        f'name = "n"\nschema = "gestures"\nworkdir = "work"\n'
        f'[input]\ntrain = "{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}.jsonl"\n'
    )
    command = _commands()["systemd"]
    command = command.replace(
        "/opt/ragline/.venv/bin/ragline", f"{sys.executable} -m ragline"
    ).replace("/etc/ragline/nightly.toml", f"{tmp_path}/nightly.toml")
    assert str(tmp_path) in command
    done = _run(["/bin/sh", "-c", command])
    number = (day - datetime.date(1970, 1, 1)).days
    assert done.returncode == 3, done.stderr
    assert f"expected span {number}, found 2001-01-01" in done.stderr
