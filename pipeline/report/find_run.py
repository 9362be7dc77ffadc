"""Find the folder of a run that a command is given, or of the newest of a configuration."""

import pathlib

from ragline.components.contract.errors import UsageError
from ragline.pipeline import config as configuration
from ragline.pipeline.runs.workdir import RUNS, SUMMARY_FILE


def find(source: str, file: str = SUMMARY_FILE) -> pathlib.Path:
    """Return the folder of a run.

    Args:
      source: the folder of a run; or a work directory or a configuration, for its newest run.
      file: name of the file that the run must have.

    Raises:
      ConfigError: the configuration cannot be used.
      UsageError: there is no run with such a file.
    """
    folder = pathlib.Path(source)
    if configuration.is_configuration(folder):
        folder = pathlib.Path(configuration.load(folder).workdir)
    if (folder / file).is_file():
        return folder
    if runs := sorted((folder / RUNS).glob(f"*/{file}")):
        return runs[-1].parent
    raise UsageError(
        f"{source}: expected the folder of a run, with {file} in it, or a work directory or a "
        f"configuration with a run in {folder / RUNS}"
    )
