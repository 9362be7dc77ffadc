"""Beam's worker processes: one that dies fails its job; none imports from the current folder."""

import os
import signal
import threading

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from ragline.components.runtime import local_runner

OPTIONS = (
    "--runner=ragline.components.runtime.local_runner.LocalRunner",
    "--beam_plugin=ragline.components",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)


# Of the thread that reads what the dead worker says; it may end as it likes.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_fails_its_job_in_any_thread():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    failures = []

    def die_at_three(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    def run() -> None:
        pipeline = beam.Pipeline(options=PipelineOptions(OPTIONS))
        pipeline | beam.Create(range(10)) | beam.Reshuffle() | beam.Map(die_at_three)
        with pytest.raises(RuntimeError, match=local_runner.DIED) as raised:
            pipeline.run().wait_until_finish()
        failures.append(raised)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=120)
    assert len(failures) == 1
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == handlers


def test_workers_import_nothing_from_the_current_folder(tmp_path, monkeypatch):
    """As a project has that calls a package of its own like one of ours, or of Beam's."""
    for name in ("ragline", "components", "apache_beam", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    pipeline = beam.Pipeline(options=PipelineOptions(OPTIONS))
    pipeline | beam.Create(range(4)) | beam.Map(lambda number: 1 // (number + 1))
    pipeline.run().wait_until_finish()
