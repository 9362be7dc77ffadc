"""A padding strategy is known by its class alone: nothing outside its folder compares its name."""

import importlib.metadata
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from ingest.test_plug_in import BLOCKS, install
from train.compared_names import breaches, named

from ragline.components.train import padding
from ragline.components.train.data import batching
from ragline.components.train.model import architecture
from ragline.components.train.options import TrainOptions

OWN = ("components/train/padding/",)
NAMES = {*padding.STRATEGIES.own}


def test_no_module_compares_the_name_of_a_strategy() -> None:
    assert breaches(NAMES, OWN) == []


@pytest.mark.parametrize(
    "breach",
    [
        "if options.padding == 'keras': pass",
        "x = 'remask' != name",
        "if name in ('crop', 'equal_length'): pass",
        "Padding = Literal['crop', 'remask']",
        "MODELS = {'keras': 1, 'crop': 2}",
        "match name:\n    case 'equal_length': pass",
    ],
)
def test_a_comparison_is_seen(breach: str) -> None:
    assert len(list(named(breach, NAMES))) >= 1


def test_a_word_alone_is_no_comparison() -> None:
    assert list(named("x: str = 'crop'\nPACKAGES = ('ragline', 'keras')\nx == 'auto'", NAMES)) == []


@pytest.mark.parametrize("name", [*padding.STRATEGIES.own])
def test_a_strategy_says_what_it_does(name: str) -> None:
    strategy = padding.of(name)
    assert strategy.name == name
    assert strategy.how
    assert strategy.symbol


@pytest.fixture
def uniform(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The strategy of docs/extending.md, installed."""
    monkeypatch.syspath_prepend(tmp_path)
    install(
        tmp_path,
        "uniform",
        {"uniform.py": BLOCKS["uniform"]},
        "[ragline.padding]\nuniform = uniform:Uniform\n",
    )
    padding.STRATEGIES.__dict__.pop("_entry_points", None)
    yield "uniform"
    padding.STRATEGIES.__dict__.pop("_entry_points", None)
    sys.modules.pop("uniform", None)


def test_a_strategy_of_another_package_is_one_class(uniform: str) -> None:
    assert importlib.metadata.version(uniform) == "1.0"
    options = TrainOptions(padding=uniform, batch_size=2, units=4)
    plan = batching.plan_training(options, np.array([3, 1, 5]), 2)
    assert (plan.sequences, plan.steps, plan.sort) == (2, None, True)
    assert batching.fixed_steps(options, np.array([3, 1, 5])) is None
    model = architecture.build(features=2, options=options, steps=5)
    assert type(model) is architecture.MaskedAutoencoder


def test_an_unknown_strategy_is_refused_with_every_name(uniform: str) -> None:
    with pytest.raises(ValueError, match=r"padding: expected 'crop', .* 'keras' or 'uniform', rec"):
        TrainOptions(padding="crop ")
