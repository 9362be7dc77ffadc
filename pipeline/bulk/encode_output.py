"""Keep the result of `ragline encode` in a folder on a disk or in a store of objects.

    OUTPUT/part-00000.parquet  see pipeline/bulk/parts.py
    OUTPUT/_rejected.jsonl     records that could not be used, if there are any, as ingest's
    OUTPUT/_summary.json       the reconciled report: read = encoded + quarantined
    OUTPUT/_log.txt            output of Beam and TensorFlow

On a disk, a job works in `.OUTPUT.partial` beside OUTPUT, a folder that only its owner can enter.
When the report adds up, the result is moved into place: a new folder appears at once; in an earlier
result, `_summary.json` is removed first and written last. In a store nothing can be renamed: parts
appear as they are finished, `_work/` lists those of a job, and `_summary.json` makes them a result.
(Parquet's readers skip names that begin with `_`.)

A job that was cut off finds its finished units in its working folder; those of another job are
removed. In OUTPUT, only files that a summary or a job lists are removed or replaced; any other, an
index beside the embeddings say, is somebody's.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragline.components.files import places, state, storage
from ragline.components.files.places import Place
from ragline.components.files.state import StateError
from ragline.components.files.storage import fsync, read_json
from ragline.pipeline.config import ConfigError
from ragline.pipeline.runs import workdir

REJECTED_FILE, SUMMARY_FILE, LOG_FILE = "_rejected.jsonl", "_summary.json", "_log.txt"
_JOB_FILE, _KIND, _WORK = "job.json", "job of encode", "_work"
_JOURNAL = ".under-way"
_PART = re.compile(r"part-[0-9]{5,}\.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class _JobRecord:
    """Describes a job, and is kept until its result is in place.

    Attributes:
      digest: digest that identifies the job.
      replaces: names in OUTPUT that it replaces, those of earlier jobs.
      makes: names that it may write there.
      publishing: whether its result is whole and is being moved into place.
    """

    digest: str
    replaces: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    publishing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """Names the folders and the log of a job that runs.

    Attributes:
      staging: folder of its intermediate files.
      folder: folder of its result.
      log: file of its log, on this machine; later in `folder`.
    """

    staging: str
    folder: str
    log: pathlib.Path


class Output(Protocol):
    """Holds the result of a job."""

    @property
    def folder(self) -> str:
        """Return the folder of the finished result."""

    @property
    def work(self) -> str:
        """Return the folder of what a job that did not end leaves."""

    def check(self) -> None:
        """Finish a move that a kill interrupted; raise ConfigError if the folder is somebody's."""

    def begin(self, digest: str) -> contextlib.AbstractContextManager[EncodeJob]:
        """Begin or resume the job of a digest; raise BusyError or ConfigError."""

    def expect(self, parts: Iterable[str]) -> None:
        """Record the names of the parts that the job may write, before it does."""

    def publish(self, job: EncodeJob) -> None:
        """Put the result of a job in place."""


def output_at(place: Place) -> Output:
    """Return the output at a path or URI.

    Raises:
      ConfigError: a store would take it for a pattern.
    """
    if places.is_local(place):
        return _Disk(place)
    if places.is_pattern(place):
        raise ConfigError(f"--output: expected a URI without * ? [ ], received {place}")
    return _Store(place)


def _listed(summary: Any) -> list[str]:
    """Return the names of a result by its summary; raise ValueError if it is no summary."""
    try:
        parts = [part["name"] for part in summary["parts"]]
        names = [*parts, LOG_FILE, *([REJECTED_FILE] if summary["quarantined"] else [])]
        if not isinstance(summary["digest"], str) or not all(map(_PART.fullmatch, parts)):
            raise ValueError("no summary of encode")
    except (TypeError, KeyError) as error:
        raise ValueError("no summary of encode") from error
    return names


def _earlier(folder: Place) -> list[str] | None:
    """Return the names of the result in a folder; None if there is none."""
    try:
        return [*_listed(read_json(f"{os.fspath(folder)}/{SUMMARY_FILE}")), SUMMARY_FILE]
    except (OSError, ValueError, RecursionError):
        return None


def _check(folder: Place, present: Iterable[str], ours: Sequence[str] | None) -> None:
    """Refuse a folder with files but no result of ours, or a foreign file under a name of ours."""
    if not (foreign := sorted(set(present).difference(ours or ()))):
        return
    if ours is None:
        raise ConfigError(
            f"--output: expected a new folder, or one of `ragline encode`, received {folder}"
        )
    fixed = (LOG_FILE, REJECTED_FILE, SUMMARY_FILE)
    for name in foreign:
        if name in fixed or _PART.fullmatch(name):
            raise ConfigError(
                f"--output: {folder}/{name}: expected no file of such a name but those that "
                f"{SUMMARY_FILE} lists; move it away"
            )


class _Disk:
    def __init__(self, place: Place) -> None:
        self._output = pathlib.Path(place).absolute()
        self._partial = self._output.with_name(f".{self._output.name}.partial")
        self._staging, self._result = self._partial / "staging", self._partial / "output"

    @property
    def folder(self) -> str:
        return str(self._output)

    @property
    def work(self) -> str:
        return str(self._partial)

    def check(self) -> None:
        record = self._kept_job() if os.path.lexists(self._partial) else None
        if record and record.publishing:
            with workdir.lock(self._partial):
                self._put(record)
        output = self._output
        if not os.path.lexists(output):
            return
        if not output.is_dir():
            raise ConfigError(f"--output: expected a folder, received {output}")
        _check(output, os.listdir(output), _earlier(output))

    @contextlib.contextmanager
    def begin(self, digest: str) -> Iterator[EncodeJob]:
        try:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self._partial.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigError(f"--output: {self._partial}: {error.strerror}") from error
        record = self._kept_job()
        with workdir.lock(self._partial), self._journal():
            if record is None or record.digest != digest:
                for folder in (self._staging, self._result):
                    if folder.exists():
                        shutil.rmtree(folder)
                self._keep(_JobRecord(digest=digest))
            for folder in (self._staging, self._result):
                folder.mkdir(exist_ok=True)
            yield EncodeJob(
                staging=str(self._staging), folder=str(self._result), log=self._result / LOG_FILE
            )

    def expect(self, parts: Iterable[str]) -> None:
        """Do nothing: OUTPUT is not touched before the result is whole."""

    def publish(self, job: EncodeJob) -> None:
        """Move the result into place, and remove the working folder."""
        makes = [*_listed(read_json(self._result / SUMMARY_FILE)), SUMMARY_FILE]
        earlier = _earlier(self._output) if self._output.is_dir() else None
        present = os.listdir(self._output) if self._output.is_dir() else []
        _check(self._output, present, earlier)  # Once more: the job may have taken hours.
        record = self._kept_job() or _JobRecord(digest="")
        record = dataclasses.replace(
            record, replaces=tuple(earlier or ()), makes=tuple(makes), publishing=True
        )
        self._keep(record)
        self._put(record)

    def _put(self, record: _JobRecord) -> None:
        """Move a whole result into place; called again after a kill, it goes on."""
        if not self._result.is_dir():
            pass  # It was moved before a kill.
        elif not self._output.is_dir() or not os.listdir(self._output):
            for name in set(os.listdir(self._result)).difference(record.makes):
                if (self._result / name).is_file():
                    (self._result / name).unlink()  # An unfinished file of a killed worker.
            os.rename(self._result, self._output)
        else:
            if (self._result / SUMMARY_FILE).exists() and SUMMARY_FILE in record.replaces:
                (self._output / SUMMARY_FILE).unlink(missing_ok=True)
            for name in set(record.replaces).difference(record.makes):
                (self._output / name).unlink(missing_ok=True)
            for name in record.makes:  # The summary is the last of them.
                if (self._result / name).exists():
                    os.rename(self._result / name, self._output / name)
            fsync(self._output)
        for folder in (self._staging, self._result):
            if folder.exists():
                shutil.rmtree(folder)
        for name in (_JOURNAL, ".lock", _JOB_FILE):  # While the last is there, this is done again.
            (self._partial / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Somebody has put something there.
            self._partial.rmdir()

    @contextlib.contextmanager
    def _journal(self) -> Iterator[None]:
        """Keep the names of files under way, and remove those that a killed job left."""
        storage.clear(self._partial / _JOURNAL)
        with storage.journal(self._partial / _JOURNAL):
            yield

    def _keep(self, record: _JobRecord) -> None:
        state.write(self._partial / _JOB_FILE, _KIND, dataclasses.asdict(record))

    def _kept_job(self) -> _JobRecord | None:
        """Return the record of the job under way; None before a job begins.

        Raises:
          ConfigError: the working folder is somebody else's.
        """
        foreign = ConfigError(
            f"--output: {self._partial}: expected nothing, or a job of `ragline encode` that was "
            "cut off, received something else; move it away"
        )
        status = self._partial.lstat()
        if (
            not self._partial.is_dir()
            or self._partial.is_symlink()
            or status.st_uid != os.geteuid()
        ):
            raise foreign
        try:
            record: _JobRecord = state.read(self._partial / _JOB_FILE, _KIND, _JobRecord)
        except FileNotFoundError:
            # One that was killed before it was kept has its file under way.
            under_way = {path.name for path in storage.named(self._partial / _JOURNAL)}
            if set(os.listdir(self._partial)) <= {".lock", _JOURNAL, *under_way}:
                return None
            raise foreign from None
        except StateError as error:
            raise foreign from error
        return record


class _Store:
    def __init__(self, place: Place) -> None:
        self.folder = os.fspath(place).rstrip("/")
        self.work = f"{self.folder}/{_WORK}"
        self._state = f"{self.work}/{_JOB_FILE}"

    def check(self) -> None:
        record = self._kept_job()
        ours = _earlier(self.folder)
        if record:
            ours = [*(ours or ()), *record.replaces, *record.makes]
        present = [place.removeprefix(f"{self.folder}/") for place in places.inside(self.folder)]
        _check(
            self.folder, (n for n in present if not (record and n.startswith(f"{_WORK}/"))), ours
        )

    @contextlib.contextmanager
    def begin(self, digest: str) -> Iterator[EncodeJob]:
        earlier, record = _earlier(self.folder) or (), self._kept_job()
        if record is None or record.digest != digest:
            before = (record.replaces, record.makes) if record else ()
            record = _JobRecord(digest=digest, replaces=tuple({*earlier}.union(*before)))
            self._keep(record)
            for name in sorted(record.replaces, key=lambda name: name != SUMMARY_FILE):
                places.remove(f"{self.folder}/{name}")
            for place in places.inside(f"{self.folder}/{_WORK}"):
                if place != self._state:
                    places.remove(place)
        else:
            places.remove(f"{self.folder}/{SUMMARY_FILE}")
        with tempfile.TemporaryDirectory() as here:
            log = pathlib.Path(here, LOG_FILE)
            try:
                yield EncodeJob(staging=f"{self.folder}/{_WORK}", folder=self.folder, log=log)
            finally:
                if log.exists() and log.stat().st_size:
                    places.upload(log, f"{self.folder}/{LOG_FILE}")

    def expect(self, parts: Iterable[str]) -> None:
        record = self._kept_job()
        if record is not None:
            makes = (*parts, LOG_FILE, REJECTED_FILE, SUMMARY_FILE)
            self._keep(dataclasses.replace(record, makes=makes))

    def publish(self, job: EncodeJob) -> None:
        """Remove the staging folder, now that the summary is written."""
        places.remove_folder(job.staging)

    def _keep(self, record: _JobRecord) -> None:
        state.write(self._state, _KIND, dataclasses.asdict(record))

    def _kept_job(self) -> _JobRecord | None:
        try:
            record: _JobRecord = state.read(self._state, _KIND, _JobRecord)
        except (FileNotFoundError, StateError):
            return None
        return record
