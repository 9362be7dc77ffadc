"""A pushed encoder of which a bit is flipped is named before it answers anything."""

import json
import pathlib
import shutil

import numpy as np
import pytest

import ragline
from ragline.components.export import write
from ragline.components.files.storage import read_json
from ragline.components.push.release import publish
from ragline.components.push.release.entries import Entry
from ragline.components.serving import versions
from ragline.pipeline.cli.main import main

FILES = (
    "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001",
    "assets.extra/golden.json", "assets.extra/encoder.json",
)  # fmt: skip


@pytest.fixture
def sealed(encoder, tmp_path) -> pathlib.Path:
    """A copy of a pushed encoder, with the manifest that a push leaves beside it."""
    model = tmp_path / "serving" / "3"
    shutil.copytree(encoder, model)
    entry = Entry(version=3, fingerprint="f", files={}, run_id="", time="", reasons=(), source="")
    publish.seal(model, entry)
    return model


def _flip(file: pathlib.Path) -> None:
    """Flips the last bit of a digit or a weight, so that every parser still takes the file."""
    content = bytearray(file.read_bytes())
    place = max(i for i, byte in enumerate(content) if chr(byte).isdigit())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_an_error_that_names_the_file(file, sealed, tmp_path, capsys):
    _flip(sealed / file)
    told = f"{sealed}/{file}: changed since it was pushed\n"
    with pytest.raises(ragline.DamagedModelError) as damaged:
        ragline.Encoder(sealed)
    assert str(damaged.value).startswith(told)
    with pytest.raises(ragline.UsageError, match="changed since"):  # And of its folder's newest.
        ragline.Encoder(sealed.parent)
    output = tmp_path / "out"
    assert main(["encode", str(sealed), "--input", "x.jsonl", "--output", str(output)]) == 2
    assert told in capsys.readouterr().err
    assert not output.exists()
    with pytest.raises(ragline.DamagedModelError, match="changed since"):
        write.onnx(sealed, tmp_path / "encoder.onnx")
    assert not (tmp_path / "encoder.onnx").exists()


def test_a_file_that_is_gone_and_a_manifest_that_is_none_are_named(sealed):
    manifest = sealed / versions.MANIFEST_FILE
    stated = read_json(manifest)
    for text in ("", "[]", "{}", "[" * 100_000, json.dumps(stated | {"files": {"../x": ""}})):
        manifest.write_text(text)
        with pytest.raises(ragline.DamagedModelError, match="expected the manifest of a pushed"):
            ragline.Encoder(sealed)
    manifest.write_text(json.dumps(stated))
    (sealed / FILES[3]).unlink()
    with pytest.raises(ragline.DamagedModelError, match=r"golden\.json: No such file"):
        ragline.Encoder(sealed)


def test_an_encoder_as_it_was_pushed_is_loaded_with_or_without_a_manifest(sealed, encoder):
    """Files that somebody put beside it, such as warm-up requests, are none of its business."""
    (sealed / "assets.extra" / "tf_serving_warmup_requests").write_text("x")
    steps = [np.zeros((3, 6), np.float32)]
    embeddings = [ragline.Encoder(path).encode(steps) for path in (sealed, encoder)]
    np.testing.assert_array_equal(*embeddings)


def test_only_names_that_are_numbers_of_ours_are_versions(sealed):
    """`04` is 4 to a server, and `²` a digit to Python."""
    for name in ("04", "²", "٣", "+5", "5 ", "1_0", "99999999999999999999", str(2**63), "0"):
        shutil.copytree(sealed, sealed.with_name(name))
    assert ragline.Encoder(sealed.parent).facts.version == "3"
    assert versions.number_of(str(2**63 - 1)) == 2**63 - 1
