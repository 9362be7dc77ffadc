import json

from components.evaluate import blessed


def _version(serving, name: str, weights: str = "w"):
    folder = serving / name
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "variables.index").write_text(weights)
    return folder


def test_before_the_first_there_is_none(tmp_path):
    assert blessed.newest(tmp_path / "serving") is None
    (tmp_path / "serving").mkdir()
    assert blessed.newest(tmp_path / "serving") is None


def test_the_newest_is_the_highest_number(tmp_path):
    for name in ("9", "10", ".staged-7", "11.tmp"):
        _version(tmp_path, name)
    (tmp_path / "12").write_text("no folder")
    found = blessed.newest(tmp_path)
    assert (found.version, found.path) == (10, str(tmp_path / "10"))
    assert json.loads(found.to_json()) == {
        "version": 10, "path": found.path, "digest": found.digest,
    }  # fmt: skip


def test_the_digest_names_the_model_and_not_what_stands_beside_it(tmp_path):
    one, same = _version(tmp_path, "1"), _version(tmp_path, "2")
    (same / "assets.extra").mkdir()
    (same / "assets.extra" / "encoder.json").write_text("{}")
    other = _version(tmp_path, "3", weights="v")
    assert blessed.digest(one) == blessed.digest(same) != blessed.digest(other)
