"""The deployed stack and a browser. Without a browser these tests are skipped at home and fail in CI."""

import os
import shutil
import site
from collections.abc import Iterator
from typing import Any

import pytest

from infra.environment import BROWSER, ROOT
from infra.local.stack import Stack
from tests.browser.visits import Visits
from tests.support.stack import admin, database, person, stack

__all__ = ["admin", "database", "person", "stack"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    for folder in (ROOT / BROWSER.folder).glob("lib/python*/site-packages"):
        site.addsitedir(str(folder))
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 # installed by scripts/test alone
    except ImportError:
        _absent("needs playwright: run scripts/test")
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        _absent("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # The sandbox refuses to run as root, which containers of CI do.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=found, args=options)
        yield launched
        launched.close()


@pytest.fixture
def visits(browser: Any, stack: Stack) -> Iterator[Visits]:
    """Visits to the console. At the end of the test no page may have said anything on its console."""
    made = Visits(browser, stack.url)
    yield made
    made.close()


def _absent(reason: str) -> None:
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)
