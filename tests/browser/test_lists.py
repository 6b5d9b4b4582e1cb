"""Lists: how many questions each state has, and who answered through which instance."""

from tests.browser.test_answering import SOON_MS
from tests.browser.visits import Visits, asked
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson


def test_tabs_count_the_questions_and_follow_an_answer(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    first, _ = [asked(admin, ann.username, f"Order {number} chairs?") for number in (40, 41)]
    page = visits.signed_in(ann, "#/approvals")
    page.get_by_role("link", name="pending 2", exact=True).wait_for()
    ann.client.post(f"/api/pending-responses/{first}/resolve", {"action": "approve"})
    page.get_by_role("link", name="pending 1", exact=True).wait_for(timeout=SOON_MS)
    page.get_by_role("link", name="resolved 1", exact=True).click()
    page.get_by_role("link", name="Order 40 chairs?").wait_for()
    assert page.get_by_role("link", name="timeout 0", exact=True).is_visible()


def test_question_shows_its_instances_and_who_cancelled(visits: Visits, person: NewPerson) -> None:
    officer = person("officer")
    page = visits.signed_in(officer, "#/ask")
    page.get_by_label("For").fill(officer.username)
    page.get_by_label("Question").fill("Order 41 chairs?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("heading", name="Order 41 chairs?").wait_for()
    own = page.url.rpartition("/")[2]
    cancelled = json_of(officer.client.post(f"/api/pending-responses/{own}/cancel"))
    facts = page.get_by_role("region", name="Facts")
    facts.get_by_text("Cancelled on").wait_for(timeout=SOON_MS)
    assert facts.get_by_text(cancelled["resolvedThrough"]).first.is_visible()
    page.get_by_text(f"{officer.username} cancelled the question").wait_for()
