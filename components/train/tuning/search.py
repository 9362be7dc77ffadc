"""The search by KerasTuner: which setting a trial has, and what has been tried.

KerasTuner's BaseTuner asks an oracle for a setting and our training for its error; Keras's own
`fit` has no part in it. The oracle draws at random (Bergstra and Bengio 2012, "Random Search for
Hyper-Parameter Optimization"): with as few trials as are worth their cost a model of the errors
would have nothing to go by, and the first n of any number of trials are the same n.
"""

import json
import logging
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus

from ragline.components.files import state
from ragline.components.files.state import StateError
from ragline.components.train.options import TrainOptions
from ragline.components.train.tuning import search_space

Values = Mapping[str, Any]

_KIND = "errors of trials"
_log = logging.getLogger("ragline.tune")


class Search(BaseTuner):
    """Trials of settings, the configured one first; the best is that of the lowest error."""

    def __init__(
        self,
        *,
        options: TrainOptions,
        trials: int,
        error_of: Callable[[int, Values], float],
        known: pathlib.Path,
        directory: pathlib.Path,
    ) -> None:
        """Opens what is known; tries nothing yet.

        Args:
          options: as configured; their seed is the search's.
          trials: how many.
          error_of: a trial's number, from 0, and its setting -> its error.
          known: a JSON file of settings and their errors, which outlives the process: what was
            tried before, by a search that was cut off or had fewer trials, is not tried again.
          directory: KerasTuner's own records.
        """
        super().__init__(
            oracle=_Oracle(
                max_trials=trials,
                hyperparameters=_space(options),
                # 0 would be taken for none, and another drawn.
                seed=options.seed + 1,
            ),
            directory=str(directory),
            project_name="search",
            overwrite=True,
        )
        self._error_of = error_of
        self._known = known

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> float:
        """The error of a trial's setting."""
        values, number = trial.hyperparameters.values, int(trial.trial_id)
        key = json.dumps(values, sort_keys=True)
        errors = self._read()
        if key not in errors:
            try:
                errors[key] = search_space.rounded(self._error_of(number, values))
            except Exception as cause:
                # Else KerasTuner takes it for a bad setting, and the search for a success.
                raise keras_tuner.errors.FatalError(f"with {words(values)}: {cause}") from cause
            state.write(self._known, _KIND, errors)
        error = math.inf if errors[key] is None else errors[key]
        _log.info(
            "trial %d/%d  error %.4g  %s",
            number + 1, self.oracle.max_trials, error, words(values),
        )  # fmt: skip
        return error

    def _read(self) -> dict[str, float | None]:
        try:
            errors: dict[str, float | None] = state.read(
                self._known, _KIND, dict[str, float | None]
            )
        except (FileNotFoundError, StateError):  # Nothing is known, or it is damaged.
            return {}
        return errors


def words(values: Values) -> str:
    """A setting in a line."""
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


class _Oracle(keras_tuner.oracles.RandomSearchOracle):
    """Random, but for the first setting, which is the configured one."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.trials:
            return super().populate_space(trial_id)
        values = {each.name: each.default for each in self.get_space().space}
        return {"status": TrialStatus.RUNNING, "values": values}


def _space(options: TrainOptions) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    lowest, highest = search_space.LEARNING_RATE
    space.Float("learning_rate", lowest, highest, sampling="log", default=options.learning_rate)
    for name, values in search_space.choices(options).items():
        space.Choice(name, values, ordered=True, default=getattr(options, name))
    return space
