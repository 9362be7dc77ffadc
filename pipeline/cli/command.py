"""Make commands of functions, and turn their errors into sentences on options."""

import argparse
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ragline.components.contract.errors import UsageError

if TYPE_CHECKING:
    from ragline.pipeline.config import Config

Command = Callable[[argparse.Namespace], int]


def in_workdir(command: Callable[[argparse.Namespace, "Config"], int]) -> Command:
    """Make a command of a function that also takes the configuration."""

    def checked(options: argparse.Namespace) -> int:
        from ragline.pipeline.config import load

        return command(options, load(options.config, options.overrides, options.workdir))

    return checked


def of_runs(command: Callable[[argparse.Namespace, "Config"], int]) -> Command:
    """Make a command of a function that needs a work directory, if one was named, to be there.

    That of a configuration may not be there before its first run.
    """

    def checked(options: argparse.Namespace, config: "Config") -> int:
        if options.workdir is not None and not os.path.isdir(config.workdir):
            raise UsageError(
                f"workdir: expected a folder that holds runs, received {config.workdir}"
            )
        return command(options, config)

    return in_workdir(checked)


@contextlib.contextmanager
def writing(output: pathlib.Path) -> Iterator[None]:
    """Turn an OSError on the way to `--output` into a UsageError; leave any other."""
    try:
        yield
    except OSError as error:
        if not _is_of(output, error.filename):
            raise
        raise UsageError(
            f"--output: expected a place to write to, received {output}: {error.strerror}"
        ) from error


def _is_of(output: pathlib.Path, path: str | None) -> bool:
    """Return whether a path is the output, lies in it or above it, or is its temporary file."""
    if path is None:
        return False
    output, received = output.absolute(), pathlib.Path(os.fsdecode(path)).absolute()
    return (
        output in (received, *received.parents)
        or received in output.parents
        or (received.parent == output.parent and received.name.lstrip(".").startswith(output.stem))
    )
