import memory_store
import pytest

from ragline.components.files import places
from ragline.components.files.storage import write_text
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests


@pytest.fixture
def artifact(tmp_path):
    folder = tmp_path / "artifacts" / "ingest" / "examples" / "2"
    for split in ("train", "eval"):
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "data.gz").write_bytes(split.encode() * 10)
    return folder


@pytest.fixture
def manifests(tmp_path, artifact) -> ArtifactManifests:
    manifests = ArtifactManifests(tmp_path)
    manifests.record(artifact)
    return manifests


def test_what_is_as_it_was_is_sound(manifests, artifact):
    assert manifests.damage(artifact) is None


def _flip(file):
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("do", "sentence"),
    [
        (_flip, r"data.gz: expected 50 bytes of sha256 \w{12}, received 50 bytes of sha256 \w{12}"),
        (lambda file: file.write_bytes(b""), "data.gz: expected 50 bytes .* received 0 bytes"),
        (lambda file: file.unlink(), "data.gz: is gone"),
        (lambda file: file.rename(file.with_name("a.gz")), "a.gz: was not there"),
        (lambda file: file.with_name("stale.gz").write_bytes(b"x"), "stale.gz: was not there"),
    ],
)
def test_any_change_is_damage(manifests, artifact, do, sentence):
    do(artifact / "Split-train" / "data.gz")
    damage = manifests.damage(artifact)
    assert damage.startswith(f"{artifact}/Split-train/")
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(damage)


def test_what_was_never_sealed_or_lies_elsewhere_is_not_sound(manifests, artifact, tmp_path):
    other = artifact.with_name("3")
    other.mkdir()
    assert "was cut off before it was sealed" in manifests.damage(other)
    assert "lies outside of the work directory" in manifests.damage(tmp_path / "elsewhere")
    [file] = (tmp_path / "seals").rglob("2.json")
    file.write_text('{"torn')
    assert "was cut off before it was sealed" in manifests.damage(artifact)


def test_the_same_content_takes_a_damaged_ones_place(manifests, artifact, tmp_path):
    fresh = artifact.with_name("3")
    for split in ("train", "eval"):
        (fresh / f"Split-{split}").mkdir(parents=True)
        (fresh / f"Split-{split}" / "data.gz").write_bytes(split.encode() * 10)
    manifests.record(fresh)
    (artifact / "Split-eval" / "data.gz").unlink()
    assert manifests.same_content(artifact, fresh)
    manifests.put_in_place(artifact, fresh)
    assert manifests.damage(artifact) is None
    assert [path.name for path in artifact.parent.iterdir()] == ["2"]
    assert [path.name for path in (tmp_path / "seals").rglob("*.json")] == ["2.json"]


def test_other_content_is_not_the_same(manifests, artifact):
    fresh = artifact.with_name("3")
    fresh.mkdir()
    assert not manifests.same_content(artifact, fresh)
    manifests.record(fresh)
    assert not manifests.same_content(artifact, fresh)


def test_what_is_removed_leaves_no_seal_and_nothing_outside_is_touched(
    manifests, artifact, tmp_path
):
    (tmp_path / "elsewhere").mkdir()
    for folder in (artifact, tmp_path / "elsewhere"):
        manifests.remove(folder)
    assert not artifact.exists()
    assert not list((tmp_path / "seals").rglob("*.json"))
    assert (tmp_path / "elsewhere").is_dir()


def test_what_has_a_seal_is_known_and_what_only_looks_like_one_is_not(
    manifests, artifact, tmp_path
):
    others = [tmp_path / "seals/ingest/examples/3.json", tmp_path / "seals/a/b/c.json"]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("{}")
    assert manifests.recorded(but=[]) == {artifact}
    assert manifests.recorded(but=[artifact]) == set()
    for path in (artifact, artifact.with_name("3")):
        manifests.forget(path)
    assert manifests.recorded(but=[]) == set()
    assert all(other.exists() for other in others)


def test_what_somebody_put_into_an_artifact_is_not_removed_with_it(manifests, artifact, tmp_path):
    (artifact / "Split-eval" / "notes.txt").write_text("mine")
    manifests.remove(artifact)
    assert not artifact.exists()
    [kept] = (tmp_path / "set-aside").rglob("notes.txt")
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("seal", ["{}", "[]", "[" * 100_000, "garbage", "null", '"x"', ""])
def test_a_seal_that_is_none_seals_nothing(manifests, artifact, tmp_path, seal):
    [file] = (tmp_path / "seals").rglob("2.json")
    file.write_text(seal)
    assert "was cut off before it was sealed" in manifests.damage(artifact)
    manifests.record(artifact)
    assert manifests.damage(artifact) is None


def test_a_folder_or_a_link_in_a_seals_place_seals_nothing(manifests, artifact, tmp_path):
    [file] = (tmp_path / "seals").rglob("2.json")
    file.rename(tmp_path / "elsewhere")
    for make in (lambda: file.symlink_to(tmp_path / "elsewhere"), file.mkdir):
        make()
        assert "was cut off before it was sealed" in manifests.damage(artifact)
        manifests.record(artifact)
        assert manifests.damage(artifact) is None
        file.unlink()
    assert (tmp_path / "elsewhere").read_text().startswith("{")


@pytest.fixture
def stored(manifests) -> str:
    """Records in a store, sealed."""
    memory_store.clear()
    uri = "mem://bucket/gestures/ingest/examples/20261128-125621-e7a7"
    for split in ("train", "eval"):
        write_text(f"{uri}/Split-{split}/data.gz", split * 10)
    manifests.record(uri)
    return uri


def test_records_in_a_store_are_known_by_one_listing(manifests, stored, monkeypatch):
    monkeypatch.setattr(memory_store.MemoryStore, "open", None)  # Nothing is downloaded.
    assert manifests.damage(stored) is None
    assert manifests.size(stored) == 90
    elsewhere = stored.replace("e7a7", "0000")
    assert "was cut off before it was sealed" in manifests.damage(elsewhere)


@pytest.mark.parametrize(
    ("do", "sentence"),
    [
        (places.remove, "Split-eval/data.gz: is gone"),
        (lambda file: write_text(f"{file}.1", "x"), "Split-eval/data.gz.1: was not there when the"),
        (
            lambda file: write_text(file, "other" * 8),
            r"Split-eval/data.gz: expected 40 bytes written at 1.0, received 40 bytes written at 2",
        ),
    ],
)
def test_a_change_in_a_store_is_damage_and_stays_there(manifests, stored, do, sentence, caplog):
    do(f"{stored}/Split-eval/data.gz")
    before = dict(memory_store.OBJECTS)
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(manifests.damage(stored))
    assert not manifests.same_content(stored, stored.replace("e7a7", "0000"))
    manifests.remove(stored)
    assert before == memory_store.OBJECTS
    assert "all of it stays there" in caplog.text
    assert "was cut off before it was sealed" in manifests.damage(stored)


def test_sound_records_are_removed_from_a_store_once(manifests, artifact, stored, monkeypatch):
    manifests.remove(stored)
    assert not memory_store.OBJECTS
    monkeypatch.setattr(places, "stamps", None)
    manifests.remove(stored)  # As each run does with what is marked as deleted.
    assert manifests.damage(artifact) is None


def test_the_seal_of_records_in_a_store_is_kept_as_long_as_they_are_known(manifests, stored):
    assert manifests.recorded(but=[stored]) == manifests.recorded(but=[]) - {
        manifests._artifacts / "ingest/examples/20261128-125621-e7a7"
    }
    assert len(manifests.recorded(but=[stored])) == 1
