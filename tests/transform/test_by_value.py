"""Files that go along with their path, and TFT's transforms that send them so."""

import os
import pathlib
import pickle
import subprocess
import sys

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that
from tensorflow_transform import analyzer_nodes
from tensorflow_transform.beam import analyzer_impls, common

from ragline.components.runtime import by_value
from ragline.components.runtime.by_value import ByValue
from ragline.components.transform import analysis

FILES = {"saved_model.pb": b"\x00\xff", "variables/index": b"i", "assets/none": b""}


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> str:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return str(tmp_path)


def _read(top: str) -> dict[str, bytes]:
    return {
        f"{path}/{name}".removeprefix(f"{top}/"): tf.io.gfile.GFile(f"{path}/{name}", "rb").read()
        for path, _, names in tf.io.gfile.walk(top)
        for name in names
    }


def test_the_same_files_are_the_same_bytes_and_one_folder(folder: str) -> None:
    archive = by_value.pack(folder)
    os.utime(f"{folder}/saved_model.pb", (0, 0))
    path = ByValue(archive)
    assert by_value.pack(folder) == by_value.pack(path) == by_value.pack_files(FILES) == archive
    assert _read(path) == FILES
    assert pickle.loads(pickle.dumps(path)) == path == ByValue(archive)
    assert ByValue(by_value.pack_files({"a": b"a"})) != path


def test_in_another_process_they_are_there_too(tmp_path: pathlib.Path) -> None:
    sent = ByValue(by_value.pack_files({"words": b"a\nb\n"}), "words")
    (tmp_path / "sent").write_bytes(pickle.dumps([sent]))
    code = (
        "import pickle, sys, tensorflow as tf\n"
        "[path] = pickle.load(open(sys.argv[1], 'rb'))\n"
        "sys.stdout.buffer.write(path.encode() + b'\\n' + tf.io.gfile.GFile(path, 'rb').read())"
    )
    process = [sys.executable, "-c", code, tmp_path / "sent"]
    got = subprocess.run(process, check=True, capture_output=True).stdout
    assert got.decode().splitlines() == [sent, "a", "b"]


class _Vocabulary:
    """What TFT gives the transform of a vocabulary."""

    vocab_filename, store_frequency, fingerprint_shuffle = "words", False, False
    input_dtype, file_format, input_is_sorted = tf.string, "text", False


def test_a_vocabulary_has_the_bytes_of_tfts_own(tmp_path: pathlib.Path) -> None:
    """Of the same frequency, the word that is last by its bytes stands first."""
    counts = [(2, b"b"), (2, b"a"), (7, "ü ".encode()), (2, b"c"), (1, b"\xff"), (2, b"bb")]
    extra_args = common.ConstructBeamPipelineVisitor.ExtraArgs(
        base_temp_dir=str(tmp_path),
        **dict.fromkeys(
            field
            for field in common.ConstructBeamPipelineVisitor.ExtraArgs.__dataclass_fields__
            if field != "base_temp_dir"
        ),
    )

    def is_the_same(paths: list[ByValue]) -> None:
        [path] = paths
        assert path.endswith("/words")
        content = tf.io.gfile.GFile(path, "rb").read()
        assert content == (tmp_path / "words").read_bytes()

    original = analyzer_impls._VocabularyOrderAndWriteImpl
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        (pipeline | "a" >> beam.Create(counts),) | "TFT" >> original(_Vocabulary, extra_args)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        counted = (pipeline | beam.Create(counts[::-1]),)
        [written] = counted | "ours" >> analysis.WriteVocabulary(_Vocabulary, extra_args)
        assert_that(written, is_the_same)


def test_tft_finds_ours() -> None:
    registered = common._PTRANSFORM_BY_OPERATION_DEF_SUBCLASS
    of_vocabulary = registered[analyzer_nodes.VocabularyOrderAndWrite]
    assert of_vocabulary.get_ptransform(None)[0] is analysis.WriteVocabulary
