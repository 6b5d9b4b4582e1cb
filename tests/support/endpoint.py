"""A run of the tests against another endpoint, as ``scripts/conformance`` starts it: a plugin of pytest.

The plugin applies the list of known differences, and the variables name the endpoint and its database.
"""

import os

import pytest

from infra.conformance import command
from infra.conformance.differences import DIFFERENCES, TESTS


def variables() -> dict[str, str]:
    """Return the variables with which a stack uses the other endpoint; none in a usual run."""
    url, uri = os.environ.get(command.ENDPOINT), os.environ.get(command.DATABASE)
    return {"AWS_ENDPOINT_URL": url, "MONGODB_URI": uri} if url and uri else {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of known differences: left out, or to fail."""
    for item in items:
        for difference in DIFFERENCES:
            if any(concerns(test, item.nodeid) for test in difference.tests):
                mark = pytest.mark.xfail(reason=difference.cause, strict=True, run=not difference.hopeless)
                item.add_marker(mark)


def concerns(test: str, nodeid: str) -> bool:
    """Whether *test* of a difference names the test of *nodeid*: its file, its function, or one of its parameters."""
    named = f"{TESTS}/{test}"
    return nodeid == named or nodeid.startswith((f"{named}::", f"{named}["))
