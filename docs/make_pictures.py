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
# File -> what is left out of the page, in CSS, and the height that is taken; 1,200 pixels wide.
PICTURES = {
    "report.png": ("footer", 1380),
    "report-space.png": ("header, nav, footer, main > section:not(#space)", 770),
}
_WIDTH = 1200
# Chromium's own clock, in ms: long enough for all plots.
_PATIENCE = 20_000


def take(page: str, left_out: str, height: int, picture: pathlib.Path) -> None:
    """Take a picture of the top of a page.

    Args:
      page: source of the page.
      left_out: what is not shown, as a selector of CSS.
      height: height of the picture, in pixels.
      picture: file to write.

    Raises:
      FileNotFoundError: there is no Chromium.
      subprocess.CalledProcessError: Chromium failed.
    """
    names = ("chromium", "chromium-browser", "chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise FileNotFoundError(f"expected one of {', '.join(names)}, found none")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = pathlib.Path(folder, "page.html")
        style = f"<style>{left_out} {{ display: none }}</style></head>"
        file.write_text(page.replace("</head>", style, 1), encoding="utf-8")
        subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}", f"--window-size={_WIDTH},{height}",
                f"--virtual-time-budget={_PATIENCE}", f"--screenshot={picture}",
                file.as_uri(),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip


def main(workdir: pathlib.Path) -> None:
    """Take all pictures of the newest run, with its paths as the command has them."""
    with tempfile.TemporaryDirectory() as folder:
        written = html_page.write_again(workdir, pathlib.Path(folder, "report.html"))
        page = written.read_text(encoding="utf-8").replace(str(workdir.resolve()), str(workdir))
    for name, (left_out, height) in PICTURES.items():
        take(page, left_out, height, FOLDER.resolve() / name)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
