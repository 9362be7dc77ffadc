import json

from ragline.components.evaluate.verdict import baseline_model


def _version(serving, name: str, weights: str = "w"):
    folder = serving / name
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "variables.index").write_text(weights)
    return folder


def test_a_version_is_a_parameter_that_names_its_model(tmp_path):
    described = baseline_model.describe(10, _version(tmp_path, "10"))
    assert json.loads(described.to_json()) == {
        "version": 10,
        "path": str(tmp_path / "10"),
        "digest": baseline_model.digest(tmp_path / "10"),
        "unlike": None,
    }  # fmt: skip


def test_the_digest_names_the_model_and_not_what_stands_beside_it(tmp_path):
    one, same = _version(tmp_path, "1"), _version(tmp_path, "2")
    (same / "assets.extra").mkdir()
    (same / "assets.extra" / "encoder.json").write_text("{}")
    other = _version(tmp_path, "3", weights="v")
    assert baseline_model.digest(one) == baseline_model.digest(same) != baseline_model.digest(other)
