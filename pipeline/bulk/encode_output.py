"""Where `ragline encode` puts its result: in a folder of a disk, or of a store of objects.

    OUTPUT/part-00000.parquet  see pipeline/bulk/parts.py
    OUTPUT/_rejected.jsonl     records that could not be used, if there are any, as ingest's
    OUTPUT/_summary.json       the account: read = encoded + quarantined
    OUTPUT/_log.txt            what Beam and TensorFlow said

On a disk, work goes on in `.OUTPUT.partial` beside it, which is renamed when the account adds up:
the result is there or it is not. In a store nothing can be renamed: the parts stand there as they
are done, `_work/` says whose they are, and it is `_summary.json`, written last and removed first,
that makes a result of them. (Parquet's readers pass over names that begin with `_`.)

A job that was cut off finds its finished units there; those of another job are removed.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import write_text
from ragline.pipeline.config import ConfigError
from ragline.pipeline.runs import workdir

REJECTED_FILE, SUMMARY_FILE, LOG_FILE = "_rejected.jsonl", "_summary.json", "_log.txt"
_STATE_FILE, _WORK = "job.txt", "_work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job under way.

    Attributes:
      staging: where it keeps what is not its result.
      folder: where its result goes.
      log: what is said meanwhile, on this machine; later in `folder`.
    """

    staging: str
    folder: str
    log: pathlib.Path


class Output(Protocol):
    """A place for a result."""

    @property
    def folder(self) -> str:
        """Where the result is, once it is one."""

    def check(self) -> None:
        """Raises ConfigError if something else is there."""

    def work(self, digest: str) -> contextlib.AbstractContextManager[Work]:
        """The job that a digest names, begun or taken up; raises BusyError or ConfigError."""

    def publish(self, work: Work) -> None:
        """Makes the result of a job what is there."""


def of(place: Place) -> Output:
    """By a path or URI."""
    return _Disk(place) if places.is_local(place) else _Store(place)


def _foreign(folder: Place) -> ConfigError:
    return ConfigError(
        f"--output: expected a new folder, or one of `ragline encode`, received {folder}"
    )


class _Disk:
    def __init__(self, place: Place) -> None:
        self._output = pathlib.Path(place).absolute()
        self._partial = self._output.with_name(f".{self._output.name}.partial")

    @property
    def folder(self) -> str:
        return str(self._output)

    def check(self) -> None:
        output = self._output
        if not output.exists() or (output.is_dir() and not any(output.iterdir())):
            return
        if not (output / SUMMARY_FILE).is_file():
            raise _foreign(output)

    @contextlib.contextmanager
    def work(self, digest: str) -> Iterator[Work]:
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--output: {self._partial}: {error.strerror}") from error
        with workdir.lock(self._partial):
            staging, folder = self._prepared(digest)
            yield Work(staging=str(staging), folder=str(folder), log=folder / LOG_FILE)

    def _prepared(self, digest: str) -> tuple[pathlib.Path, pathlib.Path]:
        state, *both = (self._partial / name for name in (_STATE_FILE, "staging", "output"))
        staging, folder = both
        if not state.is_file() or state.read_text(encoding="utf-8") != digest:
            for left in both:
                shutil.rmtree(left, ignore_errors=True)
            write_text(state, digest)
        for each in both:
            each.mkdir(exist_ok=True)
            for left in each.glob(".*.tmp"):  # Of a process that was killed.
                left.unlink()
        return staging, folder

    def publish(self, work: Work) -> None:
        """Puts the result in its place, an earlier one out of the way; then nothing is left."""
        if self._output.exists():
            replaced = self._partial / "replaced"
            shutil.rmtree(replaced, ignore_errors=True)
            os.rename(self._output, replaced)
        os.rename(work.folder, self._output)
        shutil.rmtree(self._partial)


class _Store:
    def __init__(self, place: Place) -> None:
        self.folder = os.fspath(place).rstrip("/")
        self._state = f"{self.folder}/{_WORK}/{_STATE_FILE}"
        self._summary = f"{self.folder}/{SUMMARY_FILE}"

    def check(self) -> None:
        if places.exists(self._summary) or places.exists(self._state):
            return
        if places.inside(self.folder):
            raise _foreign(self.folder)

    @contextlib.contextmanager
    def work(self, digest: str) -> Iterator[Work]:
        places.remove(self._summary)
        if not places.exists(self._state) or places.read(self._state).decode() != digest:
            places.remove_folder(self.folder)
            write_text(self._state, digest)
        with tempfile.TemporaryDirectory() as here:
            log = pathlib.Path(here, LOG_FILE)
            try:
                yield Work(staging=f"{self.folder}/{_WORK}", folder=self.folder, log=log)
            finally:
                if log.exists():
                    places.upload(log, f"{self.folder}/{LOG_FILE}")

    def publish(self, work: Work) -> None:
        """The summary is there; what is left to do is to tidy up."""
        places.remove_folder(work.staging)
