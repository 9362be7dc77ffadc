"""Search for hyperparameters by KerasTuner, and keep the errors of all trials.

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
    """Tries settings, the configured one first; the best has the lowest error."""

    def __init__(
        self,
        *,
        options: TrainOptions,
        trials: int,
        error_of: Callable[[int, Values], float],
        known_errors_file: pathlib.Path,
        directory: pathlib.Path,
    ) -> None:
        """Prepare a search; nothing is tried yet.

        Args:
          options: the configured options; the search has their seed.
          trials: number of trials.
          error_of: a trial's number, from 0, and its setting -> its error.
          known_errors_file: a JSON file of settings and their errors, which outlives the process: a
            setting that an earlier search has tried is not tried again.
          directory: folder of KerasTuner's own records.
        """
        super().__init__(
            oracle=_Oracle(
                max_trials=trials,
                hyperparameters=_search_space(options),
                # KerasTuner takes 0 for no seed, and draws one.
                seed=options.seed + 1,
            ),
            directory=str(directory),
            project_name="search",
            overwrite=True,
        )
        self._error_of = error_of
        self._known_errors_file = known_errors_file

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> float:
        """Return the error of a trial's setting."""
        values, trial_number = trial.hyperparameters.values, int(trial.trial_id)
        key = json.dumps(values, sort_keys=True)
        errors = self._read_known_errors()
        if key not in errors:
            try:
                errors[key] = search_space.rounded(self._error_of(trial_number, values))
            except Exception as cause:
                # Otherwise KerasTuner goes on as if the setting were bad, and the search succeeds.
                raise keras_tuner.errors.FatalError(f"with {describe(values)}: {cause}") from cause
            state.write(self._known_errors_file, _KIND, errors)
        error = math.inf if errors[key] is None else errors[key]
        _log.info(
            "trial %d/%d  error %.4g  %s",
            trial_number + 1, self.oracle.max_trials, error, describe(values),
        )  # fmt: skip
        return error

    def _read_known_errors(self) -> dict[str, float | None]:
        try:
            errors: dict[str, float | None] = state.read(
                self._known_errors_file, _KIND, dict[str, float | None]
            )
        except (FileNotFoundError, StateError):  # There is no file, or it is damaged.
            return {}
        return errors


def describe(values: Values) -> str:
    """Return a setting as text, in a line."""
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


class _Oracle(keras_tuner.oracles.RandomSearchOracle):
    """Draws settings at random, but for the first, which is the configured one."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.trials:
            return super().populate_space(trial_id)
        values = {parameter.name: parameter.default for parameter in self.get_space().space}
        return {"status": TrialStatus.RUNNING, "values": values}


def _search_space(options: TrainOptions) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    lowest, highest = search_space.LEARNING_RATE
    space.Float("learning_rate", lowest, highest, sampling="log", default=options.learning_rate)
    for name, values in search_space.choices(options).items():
        space.Choice(name, values, ordered=True, default=getattr(options, name))
    return space
