"""Take the pictures of a report that the pages show, with headless Chromium.

    python docs/make_pictures.py WORKDIR

WORKDIR is a work directory, or the folder of a run; `make demo` makes demo/run. Writes report.png,
the head of the page, and report-space.png, the map of the embeddings, beside this file.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from ragline.pipeline.report import html_page

FOLDER = pathlib.Path(__file__).parent
# File -> the section that it begins with, and the height that is taken; 1,200 pixels wide.
PICTURES = {"report.png": ("", 1380), "report-space.png": ("#space", 760)}
_WIDTH = 1200
# Chromium's own clock, in ms: long enough for all plots.
_PATIENCE = 20_000


def take(page: pathlib.Path, section: str, height: int, picture: pathlib.Path) -> None:
    """Take a picture of a page from one of its sections on.

    Raises:
      FileNotFoundError: there is no Chromium.
      subprocess.CalledProcessError: Chromium failed.
    """
    names = ("chromium", "chromium-browser", "chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise FileNotFoundError(f"expected one of {', '.join(names)}, found none")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}", f"--window-size={_WIDTH},{height}",
                f"--virtual-time-budget={_PATIENCE}", f"--screenshot={picture}",
                f"{page.as_uri()}{section}",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip


def main(workdir: pathlib.Path) -> None:
    """Take all pictures of the newest run."""
    with tempfile.TemporaryDirectory() as folder:
        page = html_page.write_again(workdir, pathlib.Path(folder, "report.html").resolve())
        for name, (section, height) in PICTURES.items():
            take(page, section, height, FOLDER.resolve() / name)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
