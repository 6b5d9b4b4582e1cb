"""The requests of a visit; `scripts/bench console` shows the times."""

from tests.browser.visits import Visits
from tests.support.stack import NewPerson

#: The page, its files and config.json.
MOST_FILES = 6


def test_first_visit_asks_for_no_more_files_than_allowed(visits: Visits, person: NewPerson) -> None:
    page = visits.open("#/inbox")
    page.get_by_role("heading", name="Sign in").wait_for()
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [url for url in asked if url.endswith(".js")]
    assert len({visits.url, *asked}) <= MOST_FILES, asked
