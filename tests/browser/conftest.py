"""The deployed stack and a browser. Without a browser these tests are skipped at home and fail in CI."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.stack import Stack
from tests.browser.chromium import NoBrowser, launched
from tests.browser.visits import Visits
from tests.support.stack import admin, database, person, stack

__all__ = ["admin", "database", "person", "stack"]


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium, without a window. Ends with these tests: its event loop would be in the way of other tests' loops."""
    try:
        with launched() as browser:
            yield browser
    except NoBrowser as missing:
        (pytest.fail if "CI" in os.environ else pytest.skip)(str(missing))


@pytest.fixture
def visits(browser: Any, stack: Stack) -> Iterator[Visits]:
    """Visits to the console. At the end of the test no page may have said anything on its console."""
    made = Visits(browser, stack.url)
    yield made
    made.close()
