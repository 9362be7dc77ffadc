"""The wheel, in an environment of its own, beside a user's packages of the folders' names."""

import email
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import ROOT

import ragline
from ragline.pipeline.demo.synth import FEATURES

NAMES = ("components", "pipeline", "schemas")
# What an encoder's embeddings need, as docs/install.md has it.
FEW = ("numpy", "openvino", "pyarrow", "pydantic", "tensorflow-metadata")
MOST_BYTES = 400_000_000
TAKEN = ("ragline", *NAMES, "docs", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """Built of a copy: a build leaves its files beside the source."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in TAKEN:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "source" / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, folder / "source" / name)
    uv = pathlib.Path(sys.executable).with_name("uv")
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", folder, folder / "source"]
    subprocess.run(command, check=True)
    [built] = folder.glob("*.whl")
    return built


def _environment(folder: pathlib.Path, wheel: pathlib.Path, *packages: str) -> pathlib.Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    uv = pathlib.Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*install, "--no-deps", wheel], check=True)
    if packages:
        subprocess.run([*install, *packages, "-c", ROOT / "constraints.txt"], check=True)
    return python


@pytest.fixture(scope="module")
def python(wheel) -> pathlib.Path:
    """An environment of the wheel; what it needs is taken from this one."""
    folder = wheel.parent / "environment"
    python = _environment(folder, wheel)
    [packages] = folder.glob("lib/*/site-packages")
    here = pathlib.Path(pytest.__file__).parents[1]
    (packages / "needed.pth").write_text(f"{here}\n")
    return python


@pytest.fixture
def beside(tmp_path) -> pathlib.Path:
    """A user's folder, in which packages have the names of ours."""
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the user\\'s own')")
    return tmp_path


def test_it_holds_one_package_its_pages_and_its_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        stated = email.message_from_bytes(archive.read(metadata))
        [licence] = [name for name in names if name.endswith("/licenses/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    folder = metadata.split("/")[0]
    assert {name.split("/")[0] for name in names} == {"ragline", folder}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert {f"ragline/docs/{page}" for page in pages} <= {*names}
    source = {path for name in NAMES for path in (ROOT / name).rglob("*.py")}
    assert {f"ragline/{path.relative_to(ROOT).as_posix()}" for path in source} <= {*names}
    assert stated["License-Expression"] == "Apache-2.0"
    assert "Programming Language :: Python :: 3.11" in stated.get_all("Classifier")
    assert stated["Description-Content-Type"] == "text/markdown"


def test_it_runs_beside_packages_of_the_same_names(python, beside):
    script = (
        "import ragline, ragline.components.contract.errors\n"
        "print(ragline.__file__)\n"
        "try:\n    ragline.run('none.toml')\n"
        "except ragline.ConfigError as error:\n    print(error)"
    )
    done = subprocess.run(
        [python, "-c", script], cwd=beside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    place, error = done.stdout.splitlines()
    assert place.startswith(str(python.parents[1]))
    assert "none.toml: No such file" in error
    commands = ([python.with_name("ragline"), "--version"], [python, "-m", "ragline", "--version"])
    for command in commands:
        done = subprocess.run(command, cwd=beside, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith("ragline"), done
    help_page = subprocess.run(
        [commands[0][0], "--help"], capture_output=True, text=True, check=True
    )
    [folder] = re.findall(r"^pages that messages name, .*: (.+)$", help_page.stdout, re.MULTILINE)
    assert (pathlib.Path(folder) / "config.md").is_file()


def test_embeddings_need_few_packages_and_no_tensorflow(wheel, encoder, tmp_path):
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert f"pip install {' '.join(FEW)}\n" in page
    python = _environment(tmp_path / "small", wheel, *FEW)
    installed = (path for path in (tmp_path / "small").rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in installed) < MOST_BYTES
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 6)), columns=FEATURES)
    frame.assign(walk=np.arange(50) % 7).to_parquet(tmp_path / "steps.parquet")
    script = (
        "import sys, numpy, ragline, pyarrow.parquet\n"
        "encoder = ragline.Encoder(sys.argv[1])\n"
        "steps = pyarrow.parquet.read_table('steps.parquet')\n"
        "numpy.save('embeddings.npy', encoder.encode(steps, id='walk'))\n"
        "try:\n    encoder.score(steps, id='walk')\n"
        "except ragline.UsageError as error:\n    print(error)"
    )
    command = [python, "-c", script, encoder]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "expected TensorFlow, which computes the errors" in done.stdout
    table = pq.read_table(tmp_path / "steps.parquet")
    expected, _ = ragline.Encoder(encoder).score(table, id="walk")
    received = np.load(tmp_path / "embeddings.npy")
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)
