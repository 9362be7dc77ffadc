"""What a search holds out and may draw, without TensorFlow; then the search, of errors made up."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.contract.errors import BadDataError
from ragline.components.train.options import TrainOptions
from ragline.components.train.tuning import search_space
from ragline.components.train.tuning.search import Search

OPTIONS = TrainOptions(learning_rate=0.05, units=48)
CONFIGURED = {"learning_rate": 0.05, "units": 48, "layers": 1, "dropout": 0.0}
IDS = st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"]), min_size=1, max_size=30)


@given(entities=IDS, share=st.floats(0.01, 0.99), seed=st.randoms())
def test_whole_entities_are_held_out_and_the_order_is_no_matter(entities, share, seed):
    if len(set(entities)) < 2:
        with pytest.raises(BadDataError, match=r"expected at least 2 entities .* received 1"):
            search_space.held_out(entities, share)
        return
    chosen = search_space.held_out(entities, share)
    held = {entity for entity, is_held in zip(entities, chosen, strict=True) if is_held}
    kept = {entity for entity, is_held in zip(entities, chosen, strict=True) if not is_held}
    assert held and kept and not held & kept
    assert abs(len(held) - share * len(held | kept)) <= 1
    shuffled = entities.copy()
    seed.shuffle(shuffled)
    again = search_space.held_out(shuffled, share)
    assert {e for e, is_held in zip(shuffled, again, strict=True) if is_held} == held


def test_of_many_entities_exactly_the_share_is_held_out():
    assert search_space.held_out([b"%d" % number for number in range(1000)], 0.2).sum() == 200


def test_the_configured_value_may_be_drawn_and_the_code_keeps_its_size():
    assert search_space.choices(OPTIONS)["units"] == [32, 48, 64, 128]
    assert search_space.choices(TrainOptions())["units"] == [32, 64, 128]
    assert "embedding_size" not in search_space.choices(OPTIONS)


def test_errors_that_differ_by_rounding_are_equal():
    assert search_space.rounded(0.037412345) == search_space.rounded(0.037412351) == 0.03741
    assert search_space.rounded(0.03742) != search_space.rounded(0.03741)
    assert search_space.rounded(float("inf")) is search_space.rounded(float("nan")) is None


def _error(_: int, values: Mapping[str, Any]) -> float:
    return abs(values["learning_rate"] - 1e-3) + abs(values["units"] - 64) + values["dropout"]


@pytest.fixture
def search(tmp_path) -> Callable[..., tuple[Search, list[Mapping[str, Any]]]]:
    """Runs a search; what it found, and the settings whose error it asked for."""
    numbers = itertools.count()

    def run(trials: int, error_of=_error, known="known", options=OPTIONS):
        settings = []

        def asking(number: int, values: Mapping[str, Any]) -> float:
            settings.append(dict(values))
            return error_of(number, values)

        searched = Search(
            options=options,
            trials=trials,
            error_of=asking,
            known_errors_file=tmp_path / known,
            directory=tmp_path / str(next(numbers)),
        )
        searched.search()
        return searched, settings

    return run


def _best(searched: Search) -> Mapping[str, Any]:
    return searched.get_best_hyperparameters()[0].values


def test_the_first_setting_is_the_configured_one_and_the_best_is_of_the_lowest_error(search):
    searched, settings = search(12)
    assert len(settings) == 12
    assert settings[0] == CONFIGURED
    for setting in settings[1:]:
        lowest, highest = search_space.LEARNING_RATE
        assert lowest <= setting["learning_rate"] <= highest
        for name, values in search_space.choices(OPTIONS).items():
            assert setting[name] in values
    assert _best(searched) == min(
        settings, key=lambda setting: search_space.rounded(_error(0, setting))
    )
    for name, values in search_space.choices(OPTIONS).items():
        assert {setting[name] for setting in settings} > {values[0]}


@pytest.mark.parametrize("seed", [0, 3])
def test_the_seed_alone_decides_what_is_tried(search, seed):
    options = dataclasses.replace(OPTIONS, seed=seed)
    _, one = search(5, known="one", options=options)
    _, other = search(5, known="other", options=options)
    _, third = search(5, known="third", options=dataclasses.replace(OPTIONS, seed=seed + 1))
    assert one == other
    assert one[1:] != third[1:]


def test_what_is_known_is_not_tried_again(search, tmp_path):
    """Neither after a search that was cut off nor in one of more trials; unless it is damaged."""

    def cut_off(number: int, values: Mapping[str, Any]) -> float:
        if number == 2:
            raise KeyboardInterrupt
        return _error(number, values)

    with pytest.raises(KeyboardInterrupt):
        search(4, cut_off)
    whole, _ = search(7, known="whole")
    _, settings = search(4)
    assert len(settings) == 2
    longer, settings = search(7)
    assert len(settings) == 3
    assert _best(longer) == _best(whole)
    _, settings = search(7)
    assert settings == []
    (tmp_path / "known").write_bytes(b'{"torn')
    again, settings = search(7)
    assert len(settings) == 7
    assert _best(again) == _best(whole)


def test_of_settings_that_are_no_better_the_configured_one_is_taken(search):
    searched, _ = search(4, lambda number, _: 0.5 - 1e-9 * number)
    assert _best(searched) == CONFIGURED


def test_a_setting_whose_training_diverged_is_not_taken(search):
    searched, _ = search(2, lambda number, _: 7.0 if number else float("nan"))
    assert _best(searched) != CONFIGURED
    again, settings = search(2)
    assert settings == []
    assert _best(again) == _best(searched)


def test_a_defect_stops_the_search_and_keeps_its_cause(search):
    def defect(*_: Any) -> float:
        raise ZeroDivisionError("seven")

    with pytest.raises(Exception, match=r"with learning_rate 0\.05, units 48, .*: seven") as caught:
        search(2, defect)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
