"""Find the encoder that a command is given: of a configuration, a work directory, or itself."""

import os
import pathlib

from ragline.components.push.release import ledger
from ragline.components.serving import versions
from ragline.pipeline import config as configuration
from ragline.pipeline.config import Config
from ragline.pipeline.runs import workdir


def newest(config: Config) -> pathlib.Path:
    """Return the folder of a configuration's newest sound encoder.

    Raises:
      NoEncoderError: no encoder was pushed.
      LedgerError: the ledger of pushed encoders cannot be read.
    """
    return ledger.served(pathlib.Path(config.workdir, workdir.SERVING))


def locate(source: str) -> pathlib.Path:
    """Return the folder of a model.

    Args:
      source: a configuration, or the folder of one, whose newest encoder is taken; a folder of
        numbered models or a work directory, whose newest one is; or the folder of a model.

    Raises:
      ConfigError: the configuration cannot be used.
      NoEncoderError: no encoder was pushed by it.
    """
    path = pathlib.Path(source)
    if configuration.is_configuration(path):
        return newest(configuration.load(path))
    for folder in (path, path / workdir.SERVING):
        numbered = {
            number: folder / name
            for name in (os.listdir(folder) if folder.is_dir() else ())
            if (number := versions.number_of(name)) is not None
        }
        if numbered:
            return numbered[max(numbered)]
    return path
