"""One rule for paths at every entry point: the gateway, the local front and scripts/serve."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from infra.local.stack import Stack
from tests.support.paths import TABLE
from tests.support.server import ServeProcess

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def entry_points(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ServeProcess(stack, tmp_path_factory.mktemp("served"), processes=1) as served:
        yield {"gateway": stack.api_url, "front": stack.url, "serve": served.url}


def status(base: str, method: str, path: str) -> int:
    """Return the status of *path*, sent as it is: clients of comfort clean paths."""
    url = urlsplit(base)
    with closing(http.client.HTTPConnection(url.netloc, timeout=20)) as connection:
        connection.request(method, url.path.rstrip("/") + path)
        answer = connection.getresponse()
        assert answer.status == 200 or answer.headers["Content-Type"].startswith("application/problem+json")
        return answer.status


@pytest.mark.parametrize("entry", ["gateway", "front", "serve"])
@pytest.mark.parametrize(("method", "path", "expected"), TABLE)
def test_path_has_the_same_status_at_every_entry_point(
    entry_points: dict[str, str], entry: str, method: str, path: str, expected: int
) -> None:
    assert status(entry_points[entry], method, path) == expected
