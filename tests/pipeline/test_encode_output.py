"""Where a result goes: what is somebody's stays as it is, and a kill at any step is made good."""

import json
import os
import pathlib
import shutil

import memory_store
import pytest

from ragline.components.files import places
from ragline.pipeline.bulk import encode_files, encode_output
from ragline.pipeline.bulk.encode_output import Output
from ragline.pipeline.config import ConfigError

THEIRS = {
    "index.faiss": b"index", "part-1.parquet": b"x", "notes/part-00000.parquet": b"y",
    ".hidden": b"z", "part-00000.parquet.bak": b"b", f".ragline-{'0' * 32}.tmp": b"t",
}  # fmt: skip


def _summary(digest: str, parts: int, quarantined: int) -> bytes:
    names = [f"part-{number:05d}.parquet" for number in range(parts)]
    stated = {"digest": digest, "parts": [{"name": n} for n in names], "quarantined": quarantined}
    return json.dumps(stated).encode()


def _fill(job: encode_output.EncodeJob, digest: str, parts: int, quarantined: int) -> None:
    """What a job writes, its summary last."""
    files = {f"part-{number:05d}.parquet": digest.encode() for number in range(parts)}
    files |= {"_rejected.jsonl": b"{}"} if quarantined else {}
    files |= {"_summary.json": _summary(digest, parts, quarantined)}
    for name, content in files.items():
        with places.create(f"{job.folder}/{name}") as file:
            file.write(content)
    job.log.write_text(digest)


def _encode(output: Output, digest: str, parts: int = 3, quarantined: int = 1) -> None:
    output.check()
    with output.begin(digest) as job:
        output.expect(f"part-{number:05d}.parquet" for number in range(parts))
        _fill(job, digest, parts, quarantined)
        output.publish(job)


def _content(folder: pathlib.Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _result(digest: str, parts: int = 3, quarantined: int = 1) -> dict[str, bytes]:
    return {
        **{f"part-{number:05d}.parquet": digest.encode() for number in range(parts)},
        **({"_rejected.jsonl": b"{}"} if quarantined else {}),
        "_summary.json": _summary(digest, parts, quarantined),
        "_log.txt": digest.encode(),
    }


def _put_theirs(folder: pathlib.Path) -> None:
    for name, content in THEIRS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_only_what_a_summary_lists_is_replaced(tmp_path):
    output = tmp_path / "out"
    _encode(encode_output.output_at(output), "first")
    assert _content(tmp_path) == {f"out/{k}": v for k, v in _result("first").items()}
    _put_theirs(output)
    _encode(encode_output.output_at(output), "second", parts=2, quarantined=0)
    expected = _result("second", parts=2, quarantined=0) | THEIRS
    assert _content(tmp_path) == {f"out/{name}": content for name, content in expected.items()}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "summary",
    ["{}", "[]", "null", "[" * 100_000, "garbage", '{"parts": 1, "digest": "", "quarantined": 0}',
     '{"parts": [{"name": "../x"}], "digest": "d", "quarantined": 0}',
     '{"parts": [{"name": "index.faiss"}], "digest": "d", "quarantined": 0}'],
)  # fmt: skip
def test_a_folder_with_a_summary_of_somebody_elses_is_refused(tmp_path, summary):
    output = tmp_path / "out"
    _put_theirs(output)
    (output / "_summary.json").write_text(summary)
    before = _content(tmp_path)
    with pytest.raises(ConfigError, match="expected a new folder, or one of `ragline encode`"):
        _encode(encode_output.output_at(output), "first")
    assert _content(tmp_path) == before


@pytest.mark.parametrize("name", ["part-00007.parquet", "_rejected.jsonl"])
def test_a_file_that_has_the_name_of_a_part_is_refused(tmp_path, name):
    output = tmp_path / "out"
    _encode(encode_output.output_at(output), "first", quarantined=0)
    (output / name).write_text("mine")
    before = _content(tmp_path)
    with pytest.raises(ConfigError, match=f"{name}: expected no file of such a name"):
        _encode(encode_output.output_at(output), "second")
    assert _content(tmp_path) == before


class Killed(BaseException):
    """Ends all at once."""


@pytest.mark.parametrize("is_new", [True, False])
def test_a_kill_at_any_step_is_made_good(tmp_path, monkeypatch, is_new):
    """Each change of a name, in turn, is the one before which the process dies."""
    real = {name: getattr(os, name) for name in ("rename", "unlink", "rmdir", "replace", "mkdir")}
    at = 0
    killed = True
    while killed:
        folder = tmp_path / str(at)
        folder.mkdir()
        output = folder / "out"
        if not is_new:
            _encode(encode_output.output_at(output), "first", parts=4)
            _put_theirs(output)
        steps = iter(range(10_000))
        with monkeypatch.context() as patch:

            def step(name: str, *arguments: object, steps=steps, at=at, **more: object) -> object:
                if next(steps) == at:
                    raise Killed
                return real[name](*arguments, **more)

            for name in real:
                patch.setattr(os, name, lambda *a, _n=name, step=step, **m: step(_n, *a, **m))
            try:
                _encode(encode_output.output_at(output), "second", quarantined=0)
                killed = False
            except Killed:
                pass
        theirs = {} if is_new else THEIRS
        there = _content(output) if output.exists() else {}
        assert theirs.items() <= there.items()
        if "_summary.json" in there:  # It is a result, and a whole one.
            digest = json.loads(there["_summary.json"])["digest"]
            whole = _result("first", parts=4) if digest == "first" else _result("second", 3, 0)
            assert whole.items() <= there.items()
        _encode(encode_output.output_at(output), "third", parts=2, quarantined=0)
        expected = _result("third", parts=2, quarantined=0) | theirs
        assert _content(folder) == {f"out/{name}": content for name, content in expected.items()}
        shutil.rmtree(folder)
        at += 1
    assert at >= (16 if is_new else 20)


@pytest.mark.parametrize("kind", ["link", "file", "full", "job"])
def test_what_stands_where_work_would_go_on_is_refused_and_not_touched(tmp_path, kind):
    """A link that somebody planted, above all: its target is not emptied."""
    theirs, partial = tmp_path / "theirs", tmp_path / ".out.partial"
    _put_theirs(theirs)
    (theirs / ".lock").write_text("theirs")
    if kind == "link":
        partial.symlink_to(theirs)
    elif kind == "file":
        partial.write_text("theirs")
    else:
        shutil.copytree(theirs, partial)
        if kind == "job":
            (partial / "job.json").write_text("{}")
    before = _content(tmp_path)
    with pytest.raises(ConfigError, match=r"\.out\.partial: expected nothing, or a job of"):
        _encode(encode_output.output_at(tmp_path / "out"), "first")
    assert _content(tmp_path) == before


def test_a_link_in_the_place_of_the_lock_empties_nothing(tmp_path):
    partial = tmp_path / ".out.partial"
    partial.mkdir()
    (tmp_path / "theirs").write_text("theirs")
    (partial / ".lock").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="symbolic link"):
        _encode(encode_output.output_at(tmp_path / "out"), "first")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_nobody_else_can_enter_the_folder_where_work_goes_on(tmp_path):
    with encode_output.output_at(tmp_path / "out").begin("first"):
        assert (tmp_path / ".out.partial").stat().st_mode & 0o777 == 0o700
    umask = os.umask(0)
    os.umask(umask)
    _encode(encode_output.output_at(tmp_path / "out"), "first")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o777 & ~umask


def test_in_a_store_only_what_a_summary_or_a_job_lists_is_removed():
    memory_store.clear()
    output = "mem://bucket/out"
    _encode(encode_output.output_at(output), "first", parts=4)
    for name, content in THEIRS.items():
        memory_store.OBJECTS[f"{output}/{name}"] = content
    cut_off = encode_output.output_at(output)
    cut_off.check()
    with cut_off.begin("second"):
        cut_off.expect(f"part-{number:05d}.parquet" for number in range(9))
        memory_store.OBJECTS[f"{output}/part-00008.parquet"] = b"second"
    assert f"{output}/_summary.json" not in memory_store.OBJECTS
    _encode(encode_output.output_at(output), "third", parts=2, quarantined=0)
    expected = _result("third", parts=2, quarantined=0) | THEIRS
    assert {f"{output}/{name}": c for name, c in expected.items()} == memory_store.OBJECTS
    memory_store.OBJECTS[f"{output}/part-00007.parquet"] = b"mine"
    with pytest.raises(ConfigError, match=r"part-00007\.parquet: expected no file of such a name"):
        _encode(encode_output.output_at(output), "fourth")
    memory_store.clear()


@pytest.mark.parametrize("character", "*?[]")
def test_a_uri_that_is_a_pattern_is_refused(character):
    with pytest.raises(ConfigError, match=r"expected a URI without \* \? \[ \]"):
        encode_output.output_at(f"mem://bucket/a{character}")
    with pytest.raises(ConfigError, match=r"encoder: expected a URI without \* \? \[ \]"):
        encode_files.read_request(f"mem://bucket/a{character}", "x.jsonl")
