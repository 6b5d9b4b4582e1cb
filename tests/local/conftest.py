"""Fixtures of the tests of the local proxy."""

from collections.abc import Iterator

import pytest

from tests.support.upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server behind the proxy."""
    made = Upstream()
    yield made
    made.stop()
