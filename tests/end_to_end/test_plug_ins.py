"""A format, an encoder, terms, an error and a metric of others in one run, by configuration."""

import json
import os
import pathlib
import re

import numpy as np
import pytest
from commands import ROOT, ragline
from ingest.test_plug_in import BLOCKS, entry_points_of, install

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
TERM = re.findall(
    r"^```toml\n(.*?)^```$", PAGE.partition("\n## A term\n")[2], re.MULTILINE | re.DOTALL
)[0]
# The walks of the page, each with a number that a head learns.
SCORED = '''
from ragline.components.ingest.formats.parsing import objects
import walks


class Scored(walks.Walks):
    """Reads walks, and counts the steps."""

    def decode(self, piece, columns):
        return objects.from_lines(piece, _scored)


def _scored(line):
    walk = walks._walk(line)
    return walk | {"score": len(walk["ax"]) / 7}
'''
ENTRIES = {
    "averages": "[ragline.encoders]\naverages = averages:Averages\n",
    "medians": entry_points_of(TERM),
    "changes": "[ragline.terms]\nchanges = changes:Changes\n",
    "apart": "[ragline.terms]\napart = apart:Apart\n",
    "lorentz": "[ragline.errors]\nlorentz = lorentz:Lorentz\n",
    "even": "[ragline.metrics]\nsequence_mse = even:SequenceMse\n",
    "scored": "[ragline.formats]\nwalks = scored:Scored\n",
}


def _walks(number: int) -> str:
    rng = np.random.default_rng(0)
    lines = []
    for place in range(number):
        steps = rng.normal(size=(rng.integers(3, 12), 2)).cumsum(axis=0)
        text = " ".join(f"{x:.3f}/{y:.3f}" for x, y in steps)
        lines.append(f"walk-{place}: {text}\n")
    return "".join(lines)


@pytest.mark.full
def test_a_run_takes_them_all(tmp_path: pathlib.Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    names = [name for name in ENTRIES if name != "scored"]
    modules = {"scored": SCORED, **{name: BLOCKS[name] for name in names}}
    for name, source in modules.items():
        install(site, name, {f"{name}.py": source}, ENTRIES[name])
    (site / "walks.py").write_text(BLOCKS["walks"], encoding="utf-8")
    (tmp_path / "all.walk").write_text(_walks(300), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(site)}

    def ask(*arguments: object):
        done = ragline(*arguments, cwd=tmp_path, env=env, anew=True)
        assert done.returncode == 0, done.stderr
        return done

    ask("init", "--input", tmp_path / "all.walk", "--output", "ragline.toml")
    head = 'heads=[{name="score", column="score", type="median"}]'
    pace = '{name="pace", type="changes", weight=0.5, options={lag=2}}'
    term = f'terms=[{pace}, {{name="near", type="apart", weight=0.1}}]'
    settings = ("train.encoder=averages", "train.error=lorentz", "train.updates=40", head, term)
    ask(
        *("run", "ragline.toml", "--workdir", "run", "--force-bless", "a test"),
        *(part for setting in settings for part in ("--set", setting)),
    )
    [file] = (tmp_path / "run" / "runs").glob("*/summary.json")
    summary = json.loads(file.read_text(encoding="utf-8"))
    overall = summary["metrics"]["overall"]
    assert {"sequence_mse", "head/score/mae", "term/pace/error"} <= {*overall}
    [pace] = [term for term in summary["train"]["terms"] if term["name"] == "term/pace/error"]
    assert pace["weight"] == 0.5
    # It compares sequences: it is learned, and no verdict is on it.
    assert {*summary["train"]["further"]["near"]} == {"error"}
    assert "term/near/error" not in overall and summary["train"]["error"] == "lorentz"
    assert overall["term/pace/error"]["value"] == pytest.approx(pace["value"], rel=1e-4)
    assert overall["head/score/mae"]["value"] > 0
    pushed = pathlib.Path(summary["pushed"]["path"])
    stated = json.loads((pushed / "assets.extra" / "encoder.json").read_text(encoding="utf-8"))
    assert stated["network"]["encoder"] == "averages"
    assert stated["heads"][0]["type"] == "median"
