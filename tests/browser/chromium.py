"""Debian's Chromium without a window, driven by Playwright. Nothing is downloaded."""

import os
import shutil
import site
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.environment import BROWSER, ROOT

_NAMES = ("chromium", "chromium-browser", "google-chrome")


class NoBrowser(Exception):
    """Playwright or Chromium is missing; says which, and how to get it."""


@contextmanager
def launched() -> Iterator[Any]:
    """Yield a browser, and end it with the block.

    Raises:
        NoBrowser: see there.
    """
    for folder in (ROOT / BROWSER.folder).glob("lib/python*/site-packages"):
        site.addsitedir(str(folder))
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 # installed by scripts that need it alone
    except ImportError:
        raise NoBrowser("needs playwright: python3 infra/environment.py --browser") from None
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise NoBrowser("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # The sandbox refuses to run as root, which containers of CI do.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=options)
        yield browser
        browser.close()
