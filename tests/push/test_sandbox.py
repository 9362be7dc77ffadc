"""What the process of a check may do: no byte into a file, no network, no end of time or memory."""

import pathlib
import re
import resource
import time

import pytest
from commands import Started, finish
from push import hostile

from ragline.components.contract import errors
from ragline.components.push.contract import check


def test_a_model_that_writes_a_file_writes_no_byte_even_if_it_is_trusted(tmp_path):
    model = hostile.writes_when_asked(tmp_path)
    violations = check.check(model, trust=True).violations
    assert "File too large" in violations[0].expected, violations
    written = tmp_path / "written"
    assert not written.exists() or written.stat().st_size == 0


def test_a_model_that_never_ends_is_stopped_and_nothing_of_it_is_left(tmp_path, monkeypatch):
    model = hostile.never_ends(tmp_path / "model")
    monkeypatch.setattr(check, "SECONDS", 8)  # TensorFlow's import takes some 5.
    begun = time.monotonic()
    with pytest.raises(errors.NoEncoderError, match="no end of it within 8 seconds"):
        check.check(model)
    assert time.monotonic() - begun < 28
    assert _processes_about(model) == []


def _processes_about(model: pathlib.Path) -> list[bytes]:
    commands = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(file.read_bytes())
        except OSError:  # It has ended meanwhile.
            continue
    return [command for command in commands if str(model).encode() in command]


def test_the_process_of_a_check_has_no_network(tmp_path, monkeypatch):
    """In its place, what prints the network devices that such a process has."""
    if not check._without_network():
        pytest.skip("this kernel lets nobody do without a network")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'devices=$(sed -n "s/^ *\\([^ :]*\\):.*/\\1/p" /proc/net/dev | tr "\\n" " ")\n'
        'printf \'{"error": "devices: %s"}\' "$devices"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(check.sys, "executable", str(python))
    with pytest.raises(errors.NoEncoderError, match=r"devices: (lo )?$"):
        check.check(tmp_path)


def _limited(model: pathlib.Path) -> int:
    from ragline.components.push.contract import clean_process

    clean_process._limit_memory(model)
    print(*resource.getrlimit(resource.RLIMIT_DATA))
    return 0


def test_the_memory_of_a_check_is_limited(tmp_path):
    """Below what the next test wants."""
    done = finish(Started(_limited, hostile.is_hungry(tmp_path, 1)))
    assert done.returncode == 0, done.stderr
    assert all(0 < int(limit) < 24 << 30 for limit in done.stdout.split())


@pytest.mark.full
def test_a_model_that_wants_more_memory_than_a_check_has_gets_none(tmp_path):
    """Of 24 GB, not a page is touched; TensorFlow waits for them once, not for each clause."""
    begun = time.monotonic()
    violations = check.check(hostile.is_hungry(tmp_path, 6 << 30)).violations
    assert time.monotonic() - begun < 60
    assert len(violations) > 3
    for violation in violations:
        assert re.search("ResourceExhausted|OOM|bad_alloc", violation.expected), violation
