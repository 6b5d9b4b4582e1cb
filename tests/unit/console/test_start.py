"""The root of the API: a browser gets to the console, and to everybody else the path is unknown."""

import pytest

from tests.support.gateway import Answer, event, invoke

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
PROBLEM = "application/problem+json"


def _asked(accept: str | None, method: str = "GET", path: str = "/") -> Answer:
    """Ask for the root; *path* is the path as sent, with the stage."""
    sent = event("health") | {"httpMethod": method, "path": "/", "resource": "/"}
    sent["headers"] = {} if accept is None else {"Accept": accept}
    sent["requestContext"] |= {"httpMethod": method, "resourcePath": "/", "path": path}
    return invoke(sent)


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "text/HTML;q=0.9, application/json;q=0.8", "text/*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_root_redirects_a_browser_to_the_console(method: str, accept: str) -> None:
    answer = _asked(accept, method)
    assert (answer.status, answer.headers["Location"], answer.text) == (302, "console/", "")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "accept",
    [None, "", "*/*", "application/json", "text/html;q=0", "text/html, application/json", "text/html;q=x", ";;,,q="],
)
def test_root_is_unknown_to_every_other_caller(accept: str | None) -> None:
    answer = _asked(accept)
    assert (answer.status, answer.headers["Content-Type"]) == (404, PROBLEM)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_root_takes_no_other_method_from_anybody(method: str) -> None:
    for accept in (BROWSER, "*/*"):
        answer = _asked(accept, method)
        assert (answer.status, answer.headers["Content-Type"]) == (404, PROBLEM)


@pytest.mark.parametrize(("path", "location"), [("/api/", "console/"), ("/api", "api/console/")])
def test_redirect_stays_below_the_stage_of_a_gateway(path: str, location: str) -> None:
    assert _asked(BROWSER, path=path).headers["Location"] == location
