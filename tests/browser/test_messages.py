"""Messages between two people, and questions that the WebSocket brings."""

from typing import Any

from pymongo.database import Database

from tests.browser.visits import SMALLEST, Visits, asked, scrolls_sideways, violations
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

#: An idle page asks again after 30 s: what appears sooner came by the WebSocket.
SOON_MS = 15_000


def test_message_is_shown_at_once_and_its_sender_told(visits: Visits, person: NewPerson) -> None:
    ann, bob = person(), person()
    theirs = visits.signed_in(ann, "#/messages")
    theirs.get_by_text("connected", exact=True).wait_for()
    page = visits.signed_in(bob, "#/messages")
    page.get_by_label("To").fill(ann.username)
    page.get_by_role("textbox", name="Message").fill("Lunch at noon?")
    page.get_by_role("button", name="Send", exact=True).click()
    theirs.get_by_role("region", name="Received").get_by_text("Lunch at noon?").wait_for(timeout=SOON_MS)
    # The page of the receiver is a device: it acknowledges.
    sent = page.get_by_role("region", name="Sent").get_by_role("row").filter(has_text="Lunch at noon?")
    sent.get_by_text("delivered").wait_for(timeout=SOON_MS)
    assert json_of(ann.client.get(f"/api/messages/buffered/{ann.username}"))["items"] == []


def test_messages_that_waited_are_shown_when_their_receiver_comes(
    visits: Visits, admin: Client, person: NewPerson
) -> None:
    ann, bob, boss = person(), person(), person("admin")
    for number in range(3):
        new = {"to": ann.username, "chatId": "lunch", "message": f"Message {number}"}
        json_of(bob.client.post("/api/messages", new), 201)
    # Given an administrator who sees that they wait
    overview = visits.signed_in(boss, "#/messages")
    row = overview.get_by_role("region", name="Undelivered").get_by_role("row").filter(has_text=ann.username)
    row.get_by_text("3", exact=True).wait_for()
    # When
    page = visits.signed_in(ann, "#/messages", size=SMALLEST)
    received = page.get_by_role("region", name="Received").get_by_role("listitem")
    eventually(lambda: received.count() == 3)
    # Then the newest stands first
    assert "Message 2" in received.first.inner_text()
    assert not scrolls_sideways(page)
    assert not violations(page)


def test_idle_inbox_shows_a_question_before_its_next_poll(
    visits: Visits, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    ann = person()
    page = visits.signed_in(ann, "#/inbox")
    eventually(lambda: database.connections.find_one({"username": ann.username, "opened": True}))
    page.clock.install()
    # Given a page without input for six minutes, which has just asked
    with page.expect_response("**/api/pending-responses?*"):
        page.clock.fast_forward("06:00")
    asked(admin, ann.username, "Pay 120.00 EUR?")
    page.get_by_role("heading", name="Pay 120.00 EUR?").wait_for(timeout=SOON_MS)
    # And its caller sees that it has arrived
    page.get_by_role("link", name="Pay 120.00 EUR?").click()
    page.get_by_role("region", name="Reached").get_by_text("open connections").wait_for()
