"""Checks of an engine in processes of its own, one after the other, and what each of them says."""

import functools
import json
import pathlib
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

UNAVAILABLE = 69
_WORKER = pathlib.Path(sys.executable).with_name("ragline-worker")

Checks = Mapping[str, Callable[[], Iterator[str]]]


def run(checks: Checks, chosen: Collection[str]) -> None:
    """Run the chosen checks, or all, and print their lines, each with the seconds it took."""
    for name, check in checks.items():
        if not chosen or name in chosen:
            start = time.monotonic()
            for line in check():
                print(f"{line} ({time.monotonic() - start:.0f} s)", flush=True)
                start = time.monotonic()


def by_process(**environment: str) -> tuple[str, str]:
    """Return `beam.options` of workers that the engine starts, with such variables."""
    command = {"command": str(_WORKER), "env": environment}
    return ("--environment_type=PROCESS", f"--environment_config={json.dumps(command)}")


@functools.cache
def in_process(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path, dict[str, Any]]:
    """Return data, an encoder that was not trained here, and what each part makes of them."""
    import pushed
    from conftest import write_jsonl
    from engines import beam_parts

    from ragline.pipeline.demo import synth

    encoder = pushed.gestures(folder / "encoder")
    write_jsonl(folder / "data" / "a.jsonl", list(synth.gestures(sequences=80, seed=3)))
    data = folder / "data" / "*.jsonl"
    direct = beam_parts.Engine(runner="DirectRunner")
    return data, encoder, beam_parts.run(folder / "direct", data, encoder, direct)


def compare_parts(
    folder: pathlib.Path, name: str, runner: str, options: tuple[str, ...]
) -> Iterator[str]:
    """Run each part as the pipeline wires it on an engine and in this process, and compare them.

    Args:
      folder: for what is written.
      name: of the check, for its lines.
      runner: `beam.runner`.
      options: `beam.options`.

    Raises:
      SystemExit: a part gives other records.
    """
    import pytest
    from engines import beam_parts

    data, encoder, expected = in_process(folder)
    yield f"{name}: all in this process"
    engine = beam_parts.Engine(runner=runner, options=options)
    received = beam_parts.run(folder / name, data, encoder, engine)
    for part, records in expected.items():
        # Sums of float64 may be added up in another order.
        same = pytest.approx(records, rel=1e-12, nan_ok=True) if part == "evaluate" else records
        if received[part] != same:
            raise SystemExit(f"{name}: {part}: other records than in this process")
        yield f"{name}: {part}: the same records"
