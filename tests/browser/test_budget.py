"""The requests of a visit and of an open tab; `scripts/bench console` shows the times."""

from tests.browser.visits import Visits
from tests.support.stack import NewPerson

#: The page, its files and config.json.
MOST_FILES = 6
MOST_CALLS_A_MINUTE = 15
_HIDE = """
Object.defineProperty(document, "hidden", { get: () => true });
document.dispatchEvent(new Event("visibilitychange"));
"""


def test_first_visit_asks_for_no_more_files_than_allowed(visits: Visits, person: NewPerson) -> None:
    page = visits.open("#/inbox")
    page.get_by_role("heading", name="Sign in").wait_for()
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [url for url in asked if url.endswith(".js")]
    assert len({visits.url, *asked}) <= MOST_FILES, asked


def test_visible_idle_tab_asks_seldom_and_a_hidden_tab_never(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person())
    page.clock.install()
    page.reload()
    page.get_by_role("heading", name="No question waits for you").wait_for()
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url))
    for _ in range(12):
        with page.expect_response("**/api/pending-responses?*"):
            page.clock.run_for(5_000)
    assert len(calls) <= MOST_CALLS_A_MINUTE, calls
    page.evaluate(_HIDE)
    page.clock.run_for(10_000)
    # A call that began before has its answer now, or very soon.
    page.evaluate("fetch('../health').then((answer) => answer.text())")
    calls.clear()
    for _ in range(3):
        page.clock.run_for(300_000)
        page.evaluate("fetch('../health').then((answer) => answer.text())")
    assert not [url for url in calls if not url.endswith("/health")]
