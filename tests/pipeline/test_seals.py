import pytest

from ragline.pipeline.cache.artifact_manifests import Seals


@pytest.fixture
def artifact(tmp_path):
    folder = tmp_path / "artifacts" / "ingest" / "examples" / "2"
    for split in ("train", "eval"):
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "data.gz").write_bytes(split.encode() * 10)
    return folder


@pytest.fixture
def seals(tmp_path, artifact) -> Seals:
    found = Seals(tmp_path)
    found.seal(artifact)
    return found


def test_what_is_as_it_was_is_sound(seals, artifact):
    assert seals.damage(artifact) is None


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
def test_any_change_is_damage(seals, artifact, do, sentence):
    do(artifact / "Split-train" / "data.gz")
    damage = seals.damage(artifact)
    assert damage.startswith(f"{artifact}/Split-train/")
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(damage)


def test_what_was_never_sealed_or_lies_elsewhere_is_not_sound(seals, artifact, tmp_path):
    other = artifact.with_name("3")
    other.mkdir()
    assert "was cut off before it was sealed" in seals.damage(other)
    assert "lies outside of the work directory" in seals.damage(tmp_path / "elsewhere")
    [file] = (tmp_path / "seals").rglob("2.json")
    file.write_text('{"torn')
    assert "was cut off before it was sealed" in seals.damage(artifact)


def test_the_same_content_takes_a_damaged_ones_place(seals, artifact, tmp_path):
    fresh = artifact.with_name("3")
    for split in ("train", "eval"):
        (fresh / f"Split-{split}").mkdir(parents=True)
        (fresh / f"Split-{split}" / "data.gz").write_bytes(split.encode() * 10)
    seals.seal(fresh)
    (artifact / "Split-eval" / "data.gz").unlink()
    assert seals.same(artifact, fresh)
    seals.replace(artifact, fresh)
    assert seals.damage(artifact) is None
    assert [path.name for path in artifact.parent.iterdir()] == ["2"]
    assert [path.name for path in (tmp_path / "seals").rglob("*.json")] == ["2.json"]


def test_other_content_is_not_the_same(seals, artifact):
    fresh = artifact.with_name("3")
    fresh.mkdir()
    assert not seals.same(artifact, fresh)
    seals.seal(fresh)
    assert not seals.same(artifact, fresh)


def test_what_is_removed_leaves_no_seal_and_nothing_outside_is_touched(seals, artifact, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for folder in (artifact, tmp_path / "elsewhere"):
        seals.remove(folder)
    assert not artifact.exists()
    assert not list((tmp_path / "seals").rglob("*.json"))
    assert (tmp_path / "elsewhere").is_dir()


def test_what_has_a_seal_is_known_and_what_only_looks_like_one_is_not(seals, artifact, tmp_path):
    others = [tmp_path / "seals/ingest/examples/3.json", tmp_path / "seals/a/b/c.json"]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("{}")
    assert seals.sealed(but=[]) == {artifact}
    assert seals.sealed(but=[artifact]) == set()
    for path in (artifact, artifact.with_name("3")):
        seals.forget(path)
    assert seals.sealed(but=[]) == set()
    assert all(other.exists() for other in others)


def test_what_somebody_put_into_an_artifact_is_not_removed_with_it(seals, artifact, tmp_path):
    (artifact / "Split-eval" / "notes.txt").write_text("mine")
    seals.remove(artifact)
    assert not artifact.exists()
    [kept] = (tmp_path / "set-aside").rglob("notes.txt")
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("seal", ["{}", "[]", "[" * 100_000, "garbage", "null", '"x"', ""])
def test_a_seal_that_is_none_seals_nothing(seals, artifact, tmp_path, seal):
    [file] = (tmp_path / "seals").rglob("2.json")
    file.write_text(seal)
    assert "was cut off before it was sealed" in seals.damage(artifact)
    seals.seal(artifact)
    assert seals.damage(artifact) is None


def test_a_folder_or_a_link_in_a_seals_place_seals_nothing(seals, artifact, tmp_path):
    [file] = (tmp_path / "seals").rglob("2.json")
    file.rename(tmp_path / "elsewhere")
    for make in (lambda: file.symlink_to(tmp_path / "elsewhere"), file.mkdir):
        make()
        assert "was cut off before it was sealed" in seals.damage(artifact)
        seals.seal(artifact)
        assert seals.damage(artifact) is None
        file.unlink()
    assert (tmp_path / "elsewhere").read_text().startswith("{")
