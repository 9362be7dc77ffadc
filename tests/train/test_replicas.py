"""One update on two logical devices, and by two workers, beside that on one.

test_multiworker.py has whole trainings.
"""

import json
import pathlib

import numpy as np
import pytest
from commands import python
from profiles import FULL

from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS, CategoryTerm

SCRIPT = pathlib.Path(__file__).with_name("train_on_replicas.py")


@pytest.fixture(scope="module")
def results() -> dict:
    done = python(SCRIPT, *["control"] * FULL)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["two", "workers"])
def test_two_replicas_in_two_parts_make_the_update_of_one(results, name):
    """Two logical devices of one process, or two processes on loopback."""
    one, two = (np.array(results[key]["change"]) for key in ("one", name))
    assert [results[key]["replicas"] for key in ("one", name)] == [1, 2]
    # A strategy has placed the weights on CPUs, each replica's on a logical device of its own.
    assert [results[key]["fused"] for key in ("one", name)] == [[True, True]] * 2
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-6 * np.abs(one).max())
    words = [CategoryTerm(word).key for word in ("activity", "code")]
    for term in (LOSS, "kind_loss", "score_loss", *words):
        expected = mean_of(results["one"]["sums"], term)
        assert mean_of(results[name]["sums"], term) == pytest.approx(expected, rel=1e-6)


@pytest.mark.full
def test_a_mean_a_replica_averaged_is_another_update(results):
    """The test above can fail."""
    one, control = (np.array(results[key]["change"]) for key in ("one", "control"))
    assert np.abs(control - one).max() > 0.1 * np.abs(one).max()


def test_a_term_that_compares_sequences_is_refused_on_several_replicas_with_its_name(results):
    assert results["refusals"] == {
        "one": "none",
        "two": "terms: 'near' compares the sequences of a whole batch; expected train.strategy = "
        "'one', received 'mirrored' with 2 replicas",
    }


def test_a_head_has_its_labels_on_one_replica_alone(results):
    assert results["one"]["sums"]["kind_loss_count"] == 2
