import errno

import pytest

from ragline.pipeline.runs import machine_errors

BEAM = """Traceback (most recent call last):
  File "/usr/lib/python3.11/apache_beam/worker.py", line 300, in _execute
OSError: [Errno 28] No space left on device: '/w/beam-temp/shard' [while running 'Write']
"""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/w/serving/x"),
         "/w/serving/x: Read-only file system"),
        (PermissionError(errno.EACCES, "Permission denied", "/w/a"), "/w/a: Permission denied"),
        (RuntimeError(BEAM), "/w/beam-temp/shard: No space left on device ("),
        (RuntimeError("database or disk is full"), "No space left on device ({folder} has "),
        (RuntimeError("attempt to write a readonly database"), "Read-only file system"),
        (RuntimeError("disk I/O error"), "Input/output error"),
        (OSError(errno.ENOSPC, "No space left on device"),
         "No space left on device ({folder} has "),
        (OSError(errno.ENOSPC, "No space left on device", "/nowhere/x"),
         "/nowhere/x: No space left on device (/ has "),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/w/report.html"),
         "/w/report.html: Is a directory"),
        (MemoryError(), "the machine ran out of memory: MemoryError"),
        (RuntimeError("OOM when allocating tensor with shape[9,9]\nmore"),
         "the machine ran out of memory: RuntimeError: OOM when allocating tensor with shape[9,9]"),
        (RuntimeError("Pipeline a_b-1 failed in state FAILED: io.Lost: no task manager\n\tat io.X"),
         "the engine of [beam] ended the job as FAILED: io.Lost: no task manager"),
        (OSError("exists() failed with {'s3://b/x': S3ClientError('An error (503): Busy', 503)}"),
         "s3://b/x: An error (503): Busy"),
    ],
)  # fmt: skip
def test_the_machines_trouble_is_one_sentence(tmp_path, error, expected):
    message = machine_errors.sentence(error, tmp_path)
    assert message.startswith(expected.format(folder=tmp_path))
    assert "\n" not in message


def test_no_path_is_named_that_the_error_does_not_name(tmp_path):
    message = {
        machine_errors.sentence(error, tmp_path)
        for error in (RuntimeError("disk I/O error"), OSError(errno.EIO, "Input/output error"))
    }
    assert message == {"Input/output error"}
    assert machine_errors.sentence(OSError(errno.EISDIR, "Is a directory")) is None
    full = machine_errors.sentence(OSError(errno.ENOSPC, "No space left on device"))
    assert full == "No space left on device"


def test_a_cause_behind_another_error_is_found(tmp_path):
    with pytest.raises(ValueError, match="cleaning up") as caught:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/w/model.pb")
        except OSError:
            raise ValueError("cleaning up")  # noqa: B904 (as TFX's launcher does)
    assert machine_errors.sentence(caught.value, tmp_path).startswith("/w/model.pb: No space left")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("mask: expected [B, T]"),
        OSError(errno.ENOENT, "No such file", "/x"),
        RuntimeError("Pipeline a_b-1 failed in state FAILED: Error\nTraceback (most recent call"),
    ],
)
def test_a_defect_is_not_the_machines(tmp_path, error):
    assert machine_errors.sentence(error, tmp_path) is None
