"""The root at every entry point: a browser gets to the console, every other caller a 404."""

from collections.abc import Iterator

import pytest
import requests

from infra.local.stack import Stack
from tests.support.server import ServeProcess

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def roots(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ServeProcess(stack, tmp_path_factory.mktemp("served"), processes=1) as served:
        yield {"gateway": stack.api_url, "front": stack.url, "serve": served.url}


@pytest.mark.parametrize("entry", ["gateway", "front", "serve"])
def test_browser_at_the_root_arrives_at_the_console(roots: dict[str, str], entry: str) -> None:
    answer = requests.get(f"{roots[entry]}/", headers={"Accept": "text/html,*/*;q=0.8"}, timeout=30)
    assert [each.status_code for each in answer.history] == [302]
    assert answer.url == f"{roots[entry]}/console/"
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("entry", ["gateway", "front", "serve"])
@pytest.mark.parametrize(("method", "accept"), [("GET", "*/*"), ("GET", "application/json"), ("POST", "text/html")])
def test_root_is_unknown_to_other_callers(roots: dict[str, str], entry: str, method: str, accept: str) -> None:
    answer = requests.request(method, f"{roots[entry]}/", headers={"Accept": accept}, timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
