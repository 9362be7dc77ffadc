"""Encoders, decoders, errors and types of heads are known by their classes: no name is compared."""

import pytest
from train.compared_names import breaches, named

from ragline.components.train import decoders, encoders, errors, terms

OWN = tuple(f"components/train/{name}/" for name in ("encoders", "decoders", "terms", "errors"))
NAMES = {
    *encoders.ENCODERS.own,
    *decoders.DECODERS.own,
    *terms.TERMS.own,
    *errors.ERRORS.own,
}


def test_no_module_compares_a_name() -> None:
    assert breaches(NAMES, OWN) == []


@pytest.mark.parametrize(
    "breach",
    [
        "if options.encoder == 'gru': pass",
        "x = 'teacher' != name",
        "if head.type in ('classification', 'regression'): pass",
        "Error = Literal['squared', 'huber']",
        "Encoder = Literal['lstm', 'tcn']",
        "gates = {'lstm': 4, 'gru': 3}[name]",
        "match name:\n    case 'regression': pass",
    ],
)
def test_a_comparison_is_seen(breach: str) -> None:
    assert len(list(named(breach, NAMES))) >= 1


def test_a_word_alone_is_no_comparison() -> None:
    assert list(named("x: str = 'lstm'\ntypes = ('classification',)\nx == 'auto'", NAMES)) == []
