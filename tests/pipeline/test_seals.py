import pytest

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
