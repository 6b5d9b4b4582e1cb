"""Pages of administrators: queues with dead letters, the ledger, and users with their keys and sessions."""

import secrets
from typing import Any
from urllib.parse import quote

from tests.browser.test_applications import changed, made
from tests.browser.visits import Visits, asked
from tests.support.approvals import request_path
from tests.support.client import Client, json_of
from tests.support.receiver import Receiver, receiving
from tests.support.stack import PASSWORD, NewPerson
from tests.support.waiting import eventually

DEAD = "/api/admin/queues/callback/dead"


def dead_letter(admin: Client, who: Any, receiver: Receiver) -> str:
    """Have a callback refused for good; return the id of its request."""
    receiver.answer = lambda _: (410, {})
    request = asked(admin, who.username, "Refused?", callbackUrl=receiver.url)
    json_of(who.client.post(request_path(request, "resolve"), {"action": "approve"}))
    eventually(lambda: [one for one in json_of(admin.get(DEAD))["items"] if request in one["body"]])
    return request


def test_dead_letter_shows_its_reason_and_is_sent_back(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss, ann = person("admin"), person()
    with receiving() as receiver:
        request = dead_letter(admin, ann, receiver)
        before = json_of(admin.get("/api/admin/queue-stats"))["queues"]["callback"]
        page = visits.signed_in(boss, "#/queues")
        row = page.get_by_role("row").filter(has_text="callback")
        eventually(lambda: row.get_by_role("cell").nth(5).inner_text() == str(before["dead"]))
        page.get_by_role("link", name="callback").click()
        letter = page.get_by_role("article").filter(has_text=request)
        letter.get_by_text("410").first.wait_for()
        letter.get_by_text("Message").click()
        letter.get_by_text(request).wait_for()
        # When the receiver is well again, and the letter is sent back
        receiver.answer = lambda _: (204, {})
        letter.get_by_role("checkbox").check()
        page.get_by_role("button", name="Send back 1 dead letter").click()
        dialog = page.get_by_role("dialog", name="Send back 1 dead letter?")
        dialog.get_by_role("button", name="Send back 1 dead letter").click()
        dialog.wait_for(state="detached")
        # Then it is gone here, and its work is done, without a reload
        letter.wait_for(state="detached")
        eventually(lambda: len(receiver.received) == 2)
        page.get_by_role("link", name="Queues").first.click()
        eventually(lambda: row.get_by_role("cell").nth(3).inner_text() == str(before["completed"] + 1))


def test_purge_waits_for_the_name_of_the_queue(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss, ann = person("admin"), person()
    with receiving() as receiver:
        dead_letter(admin, ann, receiver)
    page = visits.signed_in(boss, "#/queues/callback")
    page.get_by_role("button", name="Throw all away").click()
    dialog = page.get_by_role("dialog", name="Throw all dead letters away?")
    button = dialog.get_by_role("button", name="Throw all away")
    assert button.is_disabled()
    dialog.get_by_label("Type callback to confirm").fill("callback")
    button.click()
    page.get_by_role("heading", name="No dead letter").wait_for()
    assert json_of(admin.get(DEAD))["items"] == []


def cursor_before(admin: Client, application_id: str) -> str:
    """Return the cursor of the page of the ledger that has the payment of an application."""
    cursor = ""
    while True:
        page = json_of(admin.get(f"/api/ledger?limit=50{cursor and f'&cursor={quote(cursor)}'}"))
        if application_id in {entry["applicationId"] for entry in page["items"]}:
            return cursor
        cursor = page["nextCursor"]


def test_ledger_shows_a_payment_and_verifies_the_chain(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss = person("admin")
    one = made(boss.client, amountMinor=77_00)
    changed(boss.client, one, 1, status="approved")
    json_of(boss.client.post(f"/api/applications/{one}/disburse"))
    page = visits.signed_in(boss, f"#/ledger?cursor={quote(cursor_before(admin, one))}")
    page.get_by_role("row").filter(has_text=one).get_by_text("EUR 77.00").wait_for()
    page.get_by_role("button", name="Verify the chain").click()
    entries = json_of(admin.get("/api/ledger/verify"))["entries"]
    page.get_by_text(f"Intact: {entries} ").wait_for()


def test_user_is_made_changed_and_given_a_key_shown_once(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss, name = person("admin"), f"u{secrets.token_hex(5)}"
    page = visits.signed_in(boss, "#/users")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("user answers questions").uncheck()
    page.get_by_label("service asks").check()
    page.get_by_role("button", name="Make the user").click()
    page.get_by_role("heading", name=name).wait_for()
    # When a key is made, then it works, and is shown once
    page.get_by_label("New key for").fill("nightly jobs")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_role("dialog", name="The new key").get_by_label("key", exact=True).inner_text()
    caller = Client(admin.url, key)
    json_of(caller.get("/api/callback-secret"))
    page.get_by_role("button", name="Close").click()
    page.get_by_role("row").filter(has_text="nightly jobs").wait_for()
    held = page.evaluate("document.body.innerHTML")
    page.get_by_role("button", name="Show the call: make key").click()
    page.get_by_role("dialog").wait_for()
    assert key not in held
    assert key not in page.evaluate("document.body.innerHTML")
    page.keyboard.press("Escape")
    # When the sessions of the user are ended, then the user is signed out
    client = Client(admin.url).signed_in(name, PASSWORD)
    page.get_by_role("button", name="Refresh").click()
    page.get_by_role("button", name="End all sessions").click()
    page.get_by_role("dialog").get_by_role("button", name="End all sessions").click()
    page.get_by_text(f"Nobody is signed in as {name}.").wait_for()
    assert client.get("/api/sessions/current").status_code == 401
    # When the user is deleted, then the key is refused
    page.get_by_role("button", name="Delete the user").click()
    page.get_by_label(f"Type {name} to confirm").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Delete the user").click()
    page.get_by_role("heading", name="Users", exact=True).wait_for()
    assert caller.get("/api/callback-secret").status_code == 401


def test_pages_of_administrators_say_who_sees_them(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("officer"))
    for name in ("queues", "ledger", "users"):
        page.goto(f"{visits.url}#/{name}")
        page.get_by_text("It needs the role admin.").wait_for()
        assert page.get_by_role("navigation", name="Pages").get_by_role("link", name=name.title()).count() == 0
