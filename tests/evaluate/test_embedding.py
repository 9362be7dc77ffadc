import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ragline.components.evaluate.baselines import embedding_probes
from ragline.components.evaluate.baselines.embedding_probes import Sequences


def _sequences(number: int, *, labels=None, entities=None, is_train=None, seed=0) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences(
        entities=entities or [str(row % 10) for row in range(number)],
        lengths=rng.integers(1, 100, number),
        labels={} if labels is None else {"label": labels},
        is_train=np.zeros(number, bool) if is_train is None else is_train,
    )


def _measures(scores: dict) -> list[float]:
    return [value for name, value in scores.items() if name != "size"]


def test_the_effective_rank_of_a_line_is_1_and_of_a_ball_is_its_dimensions():
    rng = np.random.default_rng(0)
    line = rng.normal(size=(200, 1)) * np.array([1.0, 2.0, -3.0])
    assert embedding_probes.effective_rank(line) == pytest.approx(1.0)
    assert embedding_probes.effective_rank(
        np.concatenate([np.eye(5), -np.eye(5)])
    ) == pytest.approx(5.0)


def test_the_effective_rank_follows_its_definition():
    values = np.random.default_rng(1).normal(size=(50, 4)) * [1.0, 0.5, 0.1, 0.01]
    singular = np.sqrt(np.linalg.eigvalsh(np.cov(values.T)))
    shares = singular / singular.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert embedding_probes.effective_rank(values + 7.0) == pytest.approx(expected, rel=1e-9)


def test_a_code_that_has_collapsed_has_a_rank_of_0():
    assert embedding_probes.effective_rank(np.full((20, 3), 0.3)) == 0.0


def test_length_that_is_in_the_code_is_read_off_it_and_noise_is_not():
    known = _sequences(400)
    noise = np.random.default_rng(2).normal(size=(400, 3))
    with_length = np.concatenate([noise, known.lengths[:, None] / 10], axis=1)
    assert embedding_probes.length_r2(with_length, known.lengths, known.entities) > 0.999
    assert embedding_probes.length_r2(noise, known.lengths, known.entities) < 0.02
    assert embedding_probes.length_r2(noise, known.lengths, ["one"] * 400) is None


def test_neighbours_are_kept_by_a_rotation_and_lost_by_chance():
    points = np.random.default_rng(3).normal(size=(300, 4))
    rotation, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(4, 4)))
    assert embedding_probes.neighbours_kept(points, points @ rotation) == 1.0
    shuffled = np.random.default_rng(5).permutation(points)
    assert embedding_probes.neighbours_kept(points, shuffled) < 0.1
    assert embedding_probes.neighbours_kept(points[:11], points[:11]) is None


def test_a_probe_tells_what_the_code_knows():
    rng = np.random.default_rng(6)
    classes = rng.integers(0, 3, 300)
    known = _sequences(
        300, labels=[None if row < 30 else "abc"[classes[row]] for row in range(300)]
    )
    inputs = {
        "model": np.eye(3)[classes] + 0.1 * rng.normal(size=(300, 3)),
        "untrained": rng.normal(size=(300, 3)),
    }
    scores = embedding_probes.probes(inputs, known, given_split=False)["label"]
    assert scores["labelled"] == 270
    assert scores["majority"] == pytest.approx(np.bincount(classes[30:]).max() / 270)
    assert scores["classes"] == 3
    assert min(_measures(scores["model"])) > 0.98
    for name in ("untrained", "length"):
        assert max(_measures(scores[name])) < 0.6
    assert (scores["model"]["size"], scores["length"]["size"]) == (3, 2)


def test_where_one_class_is_common_accuracy_hides_what_the_balanced_one_and_the_auc_say():
    """97 of 100 have one label; noise is right about them, and about nothing else."""
    rng = np.random.default_rng(9)
    rare = np.arange(1000) % 100 < 3
    known = _sequences(
        1000, labels=["rare" if each else "common" for each in rare],
        entities=[str(row) for row in range(1000)],
    )  # fmt: skip
    inputs = {"noise": rng.normal(size=(1000, 4)), "exact": rare[:, None] + 0.0}
    scores = embedding_probes.probes(inputs, known, given_split=False)["label"]
    assert scores["noise"]["logistic_regression"] == pytest.approx(0.97, abs=0.01)
    assert scores["noise"]["logistic_regression_balanced"] == pytest.approx(0.5, abs=0.01)
    assert scores["noise"]["auc"] == pytest.approx(0.5, abs=0.12)
    assert _measures(scores["exact"]) == [1.0] * 5


def test_measures_are_those_of_scikit_learn():
    rng = np.random.default_rng(10)
    known = np.array(["a", "b", "c"])
    actual = known[rng.integers(0, 3, 200)]
    shares = rng.dirichlet(np.ones(3), 200)
    predicted = known[shares.argmax(axis=1)]
    assert embedding_probes.balanced_accuracy(predicted == actual, actual) == pytest.approx(
        balanced_accuracy_score(actual, predicted)
    )
    assert embedding_probes.area_under_curves(shares, actual, known) == pytest.approx(
        roc_auc_score(actual, shares, multi_class="ovr")
    )
    one_class = np.full(200, "a")
    assert embedding_probes.area_under_curves(shares, one_class, known) is None


def test_no_entity_stands_on_both_sides():
    """A code that knows only the entity tells nothing of entities it was not fitted on."""
    entities = [str(row // 10) for row in range(200)]
    labels = [str(int(entity) % 2) for entity in entities]
    known = _sequences(200, labels=labels, entities=entities)
    embedding = np.random.default_rng(7).normal(size=(20, 8))[[int(entity) for entity in entities]]
    scores = embedding_probes.probes({"model": embedding}, known, given_split=False)["label"]
    assert scores["model"]["nearest_neighbour"] < 0.8


def test_with_a_given_split_train_is_fitted_on_and_eval_is_scored():
    rng = np.random.default_rng(8)
    classes = rng.integers(0, 2, 100)
    is_train = np.arange(100) < 60
    known = _sequences(100, labels=[str(c) for c in classes], is_train=is_train)
    embedding = classes[:, None] + 0.01 * rng.normal(size=(100, 1))
    scores = embedding_probes.probes({"model": embedding}, known, given_split=True)["label"]
    assert scores["labelled"] == 40
    assert _measures(scores["model"]) == [1.0] * 5
    assert (
        embedding_probes.probes({"model": embedding}, known, given_split=False)["label"]["labelled"]
        == 40
    )


@pytest.mark.parametrize(
    "labels",
    [["a"] * 100, [None] * 90 + ["a", "b"] * 5, [str(row % 30) for row in range(100)]],
    ids=["one class", "too few labels", "too many classes"],
)
def test_a_column_that_is_no_classification_is_left_out(labels):
    embedding = np.zeros((100, 2))
    assert (
        embedding_probes.probes(
            {"model": embedding}, _sequences(100, labels=labels), given_split=False
        )
        == {}
    )
