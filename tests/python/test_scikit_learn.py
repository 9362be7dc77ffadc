"""scikit-learn's own checks of an estimator.

They give rows of a matrix, which a sequence is not: here, each row is a sequence of one step. What
a row cannot express of a sequence is listed with its reason. The encoders of the checks are
exported without training, one for each number of columns; all else is real.
"""

import pathlib
import shutil

import numpy as np
import pytest
from python.drawn import Drawn, export, summary
from sklearn.utils.estimator_checks import parametrize_with_checks

from ragline.pipeline import config as configuration
from ragline.pipeline.python import training
from ragline.pipeline.runs.runner import Outcome

# All are refused, as the checks want it, but in other words.
EXPECTED_FAILURES = {
    "check_dtype_object": "expects a TypeError; an InputError is a ValueError, whatever is wrong",
    "check_estimators_empty_data_messages": "expects the shape of a matrix in the message; "
    "sequences have none, and the message says that there is no feature",
    "check_fit2d_predict1d": "expects advice to make a row of one sample; one sequence is [X]",
}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    """Where the exported models are kept, by their columns."""
    Rows.models = tmp_path_factory.mktemp("models")


class Rows(Drawn):
    """Takes each row of a matrix as a sequence of one step."""

    models: pathlib.Path

    def fit(self, X, y=None):
        return super().fit(_rows(X), y)

    def transform(self, X):
        return super().transform(_rows(X))

    def score_samples(self, X):
        return super().score_samples(_rows(X))

    def _run(self, config):
        parsed = configuration.load(config, training.overrides({}))
        columns = configuration.read_contract(parsed).columns
        model = self.models / repr(columns.names) / "serving" / "1"
        if not model.exists():
            export(parsed, model)
        shutil.copytree(model, pathlib.Path(parsed.workdir) / "serving" / "1")
        return Outcome(summary=summary(), folder=pathlib.Path(parsed.workdir))

    def _more_tags(self):
        rows = {"X_types": ["2darray"], "_xfail_checks": EXPECTED_FAILURES}
        return super()._more_tags() | rows


def _rows(data):
    if not (isinstance(data, list) or hasattr(data, "__array__")):
        return data
    array = np.asarray(data)
    return [*array[:, np.newaxis]] if array.ndim == 2 else data


# Each needs an export of its own, of 1, 5 or 10 columns.
FULL_ALONE = {
    "check_dtype_object", "check_estimators_dtypes", "check_fit2d_1feature", "check_fit2d_1sample",
}  # fmt: skip
CHECKS = parametrize_with_checks([Rows()]).mark


def _cases():
    for case in CHECKS.args[1]:
        _, check = values = getattr(case, "values", case)
        is_left = getattr(check.func, "__name__", "") in FULL_ALONE
        marks = [*getattr(case, "marks", ()), *[pytest.mark.full] * is_left]
        yield pytest.param(*values, marks=marks)


@pytest.mark.parametrize(("estimator", "check"), _cases(), ids=CHECKS.kwargs["ids"])
def test_scikit_learn_finds_an_estimator(estimator, check):
    check(estimator)
