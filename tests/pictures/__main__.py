"""``scripts/pictures``: the command line."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infra.environment import ROOT
from infra.local.stack import Stack
from infra.operations.failures import CommandFailed
from tests.benchmarks.report import CONSOLE
from tests.browser.chromium import NoBrowser, launched
from tests.browser.visits import LAPTOP, PHONE, REFUSED, SMALLEST, Visits
from tests.pictures.demo import Demo, fill
from tests.pictures.pages import PAGES

_FOLDER = ROOT / "docs/pictures"
_SCHEMES = ("light", "dark")


class View(NamedTuple):
    """A window and the end of its pictures' names."""

    size: tuple[int, int]
    scheme: str
    suffix: str


#: The pictures of the documentation, and all that a reader of the pages should see once.
_SHOWN = [View((1280, 640), scheme, f"-{scheme}") for scheme in _SCHEMES]
_ALL = [View(size, scheme, f"-{size[0]}-{scheme}") for size in (LAPTOP, PHONE, SMALLEST) for scheme in _SCHEMES]


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(
        prog="scripts/pictures",
        description="Take the pictures of the console, light and dark. Starts a stack of its own, fills it with a demo "
        "and leaves nothing but the pictures. Needs Chromium.",
    )
    parser.add_argument("--to", type=Path, default=_FOLDER, metavar="FOLDER", help="default: docs/pictures")
    parser.add_argument("--all", action="store_true", help="take each page whole at 1280, 390 and 320 px, to look at")
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    try:
        with launched() as browser, tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
            take(browser, stack.url, fill(stack), _ALL if asked.all else _SHOWN, asked.to, whole=asked.all)
    except NoBrowser as missing:
        raise CommandFailed(str(missing)) from missing


def take(browser: Any, url: str, demo: Demo, views: Sequence[View], folder: Path, *, whole: bool) -> None:
    """Take a picture of each page in each of *views*: of *whole* pages, or of what the window shows of a few."""
    visits = Visits(browser, url)
    visits.expect(REFUSED)
    for view in views:
        page = visits.signed_in(demo.viewer, size=view.size, scheme=view.scheme, reduced_motion="reduce")
        for each in (each for each in PAGES if whole or each.shown):
            path = folder / f"{each.name}{view.suffix}.png"
            page.goto(visits.url + each.path.format(**demo._asdict()))
            if each.before:
                each.before(page, demo)
            # Nothing is under the pointer.
            page.mouse.move(0, 0)
            page.get_by_text(each.shows).first.wait_for()
            page.screenshot(path=path, full_page=whole)
            CONSOLE.log(str(path))
    visits.close()


if __name__ == "__main__":
    main()
