"""Run the command line: `python -m ragline`."""

import sys

from ragline.pipeline.cli.main import process

sys.exit(process())
