"""Shards of records in a store are read as those on a disk, by way of a cache that stays small."""

import pathlib
import time

import memory_store
import pytest
import tensorflow as tf

from ragline.components.contract.columns import ENTITY_ID, LENGTH
from ragline.components.files import places, shards
from ragline.components.train.data import input_pipeline, split_samples

STORE = "mem://bucket/Split-train"
NUMBER = 40


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As each command has."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(shards.tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Shards of three records each on the disk, and the same in the store."""
    memory_store.clear()
    folder = tmp_path / "Split-train"
    folder.mkdir()
    for number in range(NUMBER):
        file = folder / f"x-{number:02}.gz"
        with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
            for record in range(3):
                writer.write(_record(f"{number}-{record}", number + 1))
        places.upload(file, f"{STORE}/{file.name}")
    return folder


def _record(entity: str, length: int) -> bytes:
    def feature(**values: object) -> tf.train.Feature:
        return tf.train.Feature(**values)

    columns = {
        ENTITY_ID: feature(bytes_list=tf.train.BytesList(value=[entity.encode()])),
        LENGTH: feature(int64_list=tf.train.Int64List(value=[length])),
    }
    content: bytes = tf.train.Example(
        features=tf.train.Features(feature=columns)
    ).SerializeToString()
    return content


def _downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are downloaded from now on."""
    names: list[str] = []
    download = places.download

    def counted(place: str, file: pathlib.Path) -> None:
        names.append(place)
        download(place, file)

    monkeypatch.setattr(places, "download", counted)
    return names


def test_records_are_those_of_the_disk_in_their_order(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = _downloads(monkeypatch)
    on_disk, in_store = (shards.matching([f"{top}/*"]) for top in (folder, STORE))
    assert [pathlib.Path(shard).name for shard in in_store] == [
        pathlib.Path(shard).name for shard in on_disk
    ]
    expected = list(shards.read(on_disk).as_numpy_iterator())
    for _ in range(2):
        assert list(shards.read(in_store).as_numpy_iterator()) == expected
    assert len(expected) == 3 * NUMBER
    assert downloads == list(in_store), "each once, when its turn came"
    assert shards.local(on_disk[0]) == on_disk[0]
    assert pathlib.Path(shards.local(in_store[0])).read_bytes() == places.read(in_store[0])
    lengths = [input_pipeline.read_lengths(files).tolist() for files in (on_disk, in_store)]
    assert lengths[0] == lengths[1] == [n + 1 for n in range(NUMBER) for _ in range(3)]


@pytest.mark.parametrize("kept", [16, 20])
def test_the_cache_holds_its_bytes_and_what_may_be_about_to_be_opened(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    names = shards.matching([f"{STORE}/*"])
    most = sum(places.size(name) for name in names[-kept:]) if kept > 16 else 1
    cache = shards.ShardCache(str(tmp_path), most)
    monkeypatch.setattr(shards, "_cache_in", lambda folder: cache)
    downloads = _downloads(monkeypatch)
    expected = list(shards.read(shards.matching([f"{folder}/*"])).as_numpy_iterator())
    for _ in range(2):
        assert list(shards.read(names).as_numpy_iterator()) == expected
        [copies] = tmp_path.glob("records-*")
        assert len(list(copies.iterdir())) == kept
    assert len(downloads) == 2 * NUMBER
    cache.path(names[-kept])  # The oldest one, which is not the oldest any more.
    cache.path(names[0])
    cache.path(names[-kept])
    assert downloads[2 * NUMBER :] == [names[0]]


def test_a_sample_of_a_store_is_that_of_a_disk(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = shards.ShardCache(str(tmp_path), 1)
    monkeypatch.setattr(shards, "_cache_in", lambda folder: cache)
    samples = [
        split_samples.draw(shards.matching([f"{top}/*"]), 500, tmp_path / f"{place}.gz")
        for place, top in enumerate((folder, STORE))
    ]
    assert samples[0] == samples[1] and samples[0] is not None
    drawn = [list(shards.read([str(tmp_path / f"{place}.gz")])) for place in range(2)]
    assert drawn[0] == drawn[1] and 0 < len(drawn[0]) < 3 * NUMBER


def test_no_more_shards_wait_to_be_opened_than_the_cache_keeps(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = _downloads(monkeypatch)
    names = shards.matching([f"{STORE}/*"])
    batches = iter(shards.read_at_once(names, 1))
    next(batches)
    time.sleep(0.5)  # What is read ahead is asked for meanwhile.
    assert shards.AT_ONCE < len(downloads) <= shards._FEWEST
    assert len(list(batches)) == 3 * NUMBER - 1
    assert downloads == list(names)


def test_a_command_has_a_cache_of_its_own(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = f"{STORE}/x-00.gz"
    first = pathlib.Path(shards.local(shard))
    assert first.parent.parent == tmp_path / "tmp"
    (tmp_path / "next").mkdir()
    monkeypatch.setattr(shards.tempfile, "tempdir", str(tmp_path / "next"))
    assert pathlib.Path(shards.local(shard)).parent.parent == tmp_path / "next"


def test_a_shard_that_is_gone_is_an_error_with_its_name(folder: pathlib.Path) -> None:
    names = shards.matching([f"{STORE}/*"])
    places.remove(names[5])
    with pytest.raises(tf.errors.OpError, match=rf"No such file or directory: '{names[5]}'"):
        list(shards.read(names))
