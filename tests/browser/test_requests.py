"""How often an open page asks the API."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.visits import Visits
from tests.support.stack import NewPerson

#: Requests of a page in a minute in which nothing happens.
MOST = 15
_HIDE = """
Object.defineProperty(document, "hidden", { get: () => true });
document.dispatchEvent(new Event("visibilitychange"));
"""


@pytest.mark.parametrize(
    ("path", "role"),
    [
        # An administrator sees the open questions of others, and open questions are asked for more often.
        ("#/inbox", "user"),
        ("#/approvals", "user"),
        ("#/applications", "officer"),
        ("#/overview", "admin"),
        ("#/queues", "admin"),
        ("#/webhooks", "admin"),
        ("#/deliveries?status=dead", "admin"),
        ("#/cluster", "admin"),
        ("#/users/admin", "admin"),
        ("#/me", "admin"),
    ],
)
def test_idle_page_asks_seldom_and_hidden_page_never(visits: Visits, person: NewPerson, path: str, role: str) -> None:
    page = visits.signed_in(person(role), path)
    page.clock.install()
    for figures in ("pending-responses/counts", "admin/queue-stats"):
        page.route(f"**/api/{figures}", _standing())
    # From before the load: a slow first answer, too, must come before the minute begins.
    calls = _Calls(page)
    page.reload()
    page.get_by_role("navigation", name="Pages").wait_for()
    # The page has begun: it has asked for all it shows.
    _pass(page, calls, seconds=5)
    # Without this the clock runs on beside the steps, and a minute of a busy machine is longer.
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    _pass(page, calls, seconds=1)
    calls.made.clear()
    # Two polls of the slowest page; after a slow answer the second comes after the minute.
    _pass(page, calls, seconds=60)
    assert 1 <= len(calls.made) <= MOST, calls.made
    page.evaluate(_HIDE)
    # A poll that was on its way ends; its page is hidden before the next.
    _pass(page, calls, seconds=5)
    calls.made.clear()
    _pass(page, calls, seconds=60)
    assert not calls.made


def _standing() -> Callable[[Any], None]:
    """Return a handler that gives the first answer each time: nothing happens, whatever other tests have left to do."""
    first: list[dict[str, Any]] = []

    def answer(route: Any) -> None:
        if not first:
            answered = route.fetch()
            first.append({"status": answered.status, "headers": answered.headers, "body": answered.body()})
        route.fulfill(**first[0])

    return answer


class _Calls:
    """The requests of *page* from now on, and how many have no answer yet."""

    def __init__(self, page: Any) -> None:
        self.made: list[str] = []
        #: Without the requests that had begun before.
        self.open: list[Any] = []
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _begun(self, request: Any) -> None:
        self.made.append(request.url)
        self.open.append(request)

    def _ended(self, request: Any) -> None:
        if request in self.open:
            self.open.remove(request)


def _pass(page: Any, calls: _Calls, *, seconds: int) -> None:
    """Let the page's clock go on. The clock stands while the API answers: the next poll begins after the answer."""
    for _ in range(seconds):
        page.clock.run_for(1_000)
        # The page's code runs after the last event that is seen here.
        page.wait_for_timeout(30)
        while calls.open:
            page.wait_for_timeout(30)
