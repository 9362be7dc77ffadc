"""Two estimators are fitted in two threads of one process."""

import concurrent.futures
import threading

import numpy as np
import pytest

import ragline
from ragline.pipeline.python import one_line
from ragline.pipeline.runs.display import Display

QUICK = {"train.units": 8, "train.linear_steps": 4}


class Stages(Display):
    """Keeps the names of a run's stages, by the thread that called it."""

    def __init__(self, by_thread: dict[int, list[str]]) -> None:
        self._stages = by_thread[threading.get_ident()] = []

    def start(self, place: int, total: int, stage: str) -> None:
        self._stages.append(stage)


@pytest.mark.full
def test_two_fits_at_a_time_do_not_touch_each_other(monkeypatch):
    stages: dict[int, list[str]] = {}
    monkeypatch.setattr(one_line, "of_caller", lambda wanted: Stages(stages))

    def fitted(features: int) -> tuple[ragline.SequenceEncoder, np.ndarray]:
        random = np.random.default_rng(features)
        lengths = random.integers(3, 20, 160)
        walks = [random.normal(size=(steps, features)).cumsum(axis=0) for steps in lengths]
        encoder = ragline.SequenceEncoder(epochs=2, embedding_size=2 * features, options=QUICK)
        return encoder, encoder.fit_transform(walks)

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        (first, of_first), (second, of_second) = threads.map(fitted, (1, 2))
    assert (of_first.shape, of_second.shape) == ((160, 2), (160, 4))
    assert first.verdict_["blessed"] and second.verdict_["blessed"]
    assert first.summary_["run_id"] != second.summary_["run_id"]
    assert [names[-1] for names in stages.values()] == ["push", "push"]
    assert len(stages) == 2 and len({*map(tuple, stages.values())}) == 1
