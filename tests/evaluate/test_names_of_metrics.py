"""A metric is known by its class: no module outside the folder compares a name of one.

A summary, a report and the end of a run choose which metrics they show, by name: a list is none of
the comparisons that are looked for.
"""

import pytest
from train.compared_names import breaches, named

from ragline.components.evaluate.metrics import METRICS

OWN = ("components/evaluate/metrics/",)
NAMES = {*METRICS.own}


def test_no_module_compares_the_name_of_a_metric() -> None:
    assert breaches(NAMES, OWN, tables=False) == []


@pytest.mark.parametrize(
    "breach",
    [
        "if rule.metric == 'masked_mse': pass",
        "x = 'effective_rank' != name",
        "if name in ('masked_mae', 'masked_mse'): pass",
        "match name:\n    case 'normalised_mse': pass",
    ],
)
def test_a_comparison_is_seen(breach: str) -> None:
    assert len(list(named(breach, NAMES, tables=False))) >= 1


def test_a_list_is_no_comparison() -> None:
    assert list(named("SHOWN = ('masked_mae', 'masked_mse')", NAMES, tables=False)) == []
