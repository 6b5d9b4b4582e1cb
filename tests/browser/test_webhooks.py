"""Webhooks on their pages: a secret shown once, deliveries with their attempts, replay, and recovery by number."""

import hashlib
from typing import Any

from standardwebhooks import Webhook

from tests.browser.test_applications import made
from tests.browser.visits import REFUSED, Visits
from tests.support.client import Client, json_of
from tests.support.receiver import Received, receiving
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

#: The page of a delivery and of a list asks every 5 s at the latest.
SHOWN_MS = 30_000


def hooked(admin: Client, url: str) -> str:
    """Make a webhook that gets new applications; return its id."""
    new = {"url": url, "events": ["application.created"], "rateLimitPerMinute": 600}
    return str(json_of(admin.post("/api/webhooks", new), 201)["webhookId"])


def dead(admin: Client, webhook_id: str) -> list[Any]:
    """Return the dead deliveries of a webhook."""
    items: list[Any] = json_of(admin.get(f"/api/deliveries?status=dead&webhookId={webhook_id}"))["items"]
    return items


def made_by_form(page: Any, url: str) -> tuple[str, str]:
    """Make a webhook by the form of *page*, which then shows the webhook; return its id and its secret."""
    page.get_by_role("link", name="New webhook").first.click()
    page.get_by_label("Address").fill(url)
    page.get_by_label("application.created").check()
    page.get_by_role("button", name="Make the webhook").click()
    secret = page.get_by_role("dialog", name="The secret").get_by_label("secret", exact=True).inner_text()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("heading", name=url.partition("//")[2]).wait_for()
    return page.url.rpartition("/")[2], secret


def test_made_webhook_delivers_and_replays_after_a_refusal(visits: Visits, admin: Client, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"), "#/webhooks")
    with receiving() as receiver:
        # When a webhook is made, then its secret is shown once, and is kept nowhere
        webhook_id, secret = made_by_form(page, f"{receiver.url}/hook")
        page.goto(f"{visits.url}#/webhooks/new")
        page.get_by_role("button", name="Show the call: make webhook").click()
        page.get_by_role("heading", name="Its answer: 201").wait_for()
        assert secret not in page.content()
        page.goto(f"{visits.url}#/webhooks/{webhook_id}")
        page.reload()
        page.get_by_text("Nothing was sent yet.").wait_for()
        assert secret not in page.content()
        # When an application is made, then its delivery is shown with the attempt
        made(admin)
        eventually(lambda: receiver.received)
        page.get_by_role("row").filter(has_text="delivered").wait_for(timeout=SHOWN_MS)
        page.get_by_role("link", name="application.created").click()
        page.get_by_text("answered 204").wait_for()
        (first,) = receiver.received
        assert Webhook(secret).verify(first.body.decode(), first.headers)["type"] == "application.created"
        assert page.get_by_label("Body").locator("pre").inner_text() == first.body.decode()
        # When the receiver refuses the next one, then the delivery is dead, and a replay delivers it
        receiver.answer = lambda _: (400, {})
        made(admin)
        eventually(lambda: dead(admin, webhook_id))
        page.get_by_role("link", name="Deliveries").click()
        page.get_by_role("row").filter(has_text="dead").get_by_role("link").click()
        page.get_by_text("The receiver refused the delivery for good.").wait_for()
        page.get_by_text("answered 400").wait_for()
        receiver.answer = lambda _: (204, {})
        page.get_by_role("button", name="Replay", exact=True).click()
        eventually(lambda: len(receiver.received) == 3)
        page.get_by_label("Attempts").get_by_text("answered 204").wait_for(timeout=SHOWN_MS)
        page.locator(".title").get_by_text("delivered").wait_for()
        ids = [got.headers["webhook-id"] for got in receiver.received]
        assert len(ids) == 3
        assert ids[1] == ids[2]
    admin.delete(f"/api/webhooks/{webhook_id}")


def test_statement_of_a_webhook_leads_to_each_delivery(visits: Visits, admin: Client, person: NewPerson) -> None:
    with receiving() as receiver:
        webhook_id = hooked(admin, receiver.url)
        made(admin)
        eventually(lambda: receiver.received)
        page = visits.signed_in(person("admin"), f"#/webhooks/{webhook_id}")
        statistics = page.get_by_role("region", name="Statistics")
        statistics.get_by_text("1 taken, 0 failed: 100 % taken").wait_for(timeout=SHOWN_MS)
        page.get_by_text("Statement", exact=True).click()
        (got,) = receiver.received
        row = page.get_by_role("row").filter(has_text=hashlib.sha256(got.body).hexdigest()[:10])
        row.get_by_role("link", name=got.headers["webhook-id"]).click()
        page.get_by_role("heading", name="application.created").wait_for()
    admin.delete(f"/api/webhooks/{webhook_id}")


def test_recovery_sends_the_deliveries_of_the_list_alone(visits: Visits, admin: Client, person: NewPerson) -> None:
    visits.expect(REFUSED)
    with receiving() as receiver:
        receiver.answer = lambda _: (400, {})
        one, other = hooked(admin, f"{receiver.url}/one"), hooked(admin, f"{receiver.url}/other")
        for _ in range(3):
            made(admin)
        eventually(lambda: len(dead(admin, one)) == 3 and len(dead(admin, other)) == 3)
        # Given the filtered list, after a reload, and after a way there and back
        page = visits.signed_in(person("admin"), f"#/deliveries?status=dead&webhookId={one}")
        dialog = page.get_by_role("dialog", name="Recover dead deliveries")
        for _ in range(2):
            page.reload()
            page.get_by_role("row").nth(3).wait_for()
            assert page.get_by_role("row").count() == 1 + 3
            page.get_by_role("link", name="Recover…").click()
            dialog.get_by_text("3 deliveries would be sent, 0 have arrived.").wait_for()
            page.reload()
            dialog.get_by_text("3 deliveries would be sent, 0 have arrived.").wait_for()
            page.go_back()
        page.go_forward()
        dialog.get_by_role("button", name="Recover 3 deliveries").wait_for()
        # When the number has changed meanwhile, then nothing is sent, and the deliveries are counted again
        made(admin)
        eventually(lambda: len(dead(admin, one)) == 4 and len(dead(admin, other)) == 4)
        receiver.answer = well
        receiver.received.clear()
        dialog.get_by_role("button", name="Recover 3 deliveries").click()
        dialog.get_by_text("The number has changed, so nothing was sent.").wait_for()
        assert receiver.received == []
        # When that number is confirmed, then so many are sent, and those of the other webhook are not
        dialog.get_by_role("button", name="Recover 4 deliveries").click()
        dialog.wait_for(state="detached")
        eventually(lambda: dead(admin, one) == [] and len(receiver.received) == 4)
        assert {got.path for got in receiver.received} == {"/one"}
        assert len(dead(admin, other)) == 4
    for webhook_id in (one, other):
        admin.delete(f"/api/webhooks/{webhook_id}")


def well(_: Received) -> tuple[int, dict[str, str]]:
    """Take every call."""
    return 204, {}


def test_replay_all_sends_what_the_filtered_list_shows(visits: Visits, admin: Client, person: NewPerson) -> None:
    visits.expect(REFUSED)
    with receiving() as receiver:
        one, other = hooked(admin, f"{receiver.url}/one"), hooked(admin, f"{receiver.url}/other")
        for _ in range(2):
            made(admin)
        eventually(lambda: len(receiver.received) == 4)
        receiver.answer = lambda _: (400, {})
        made(admin)
        eventually(lambda: len(dead(admin, one)) == 1 and len(dead(admin, other)) == 1)
        # Given the filtered list and its dialog, after a reload, and after a way there and back
        page = visits.signed_in(person("admin"), f"#/deliveries?webhookId={one}")
        dialog = page.get_by_role("dialog", name="Replay all deliveries")
        page.get_by_role("row").nth(3).wait_for()
        page.get_by_role("link", name="Replay all…").click()
        dialog.get_by_text("3 deliveries of the list.").wait_for()
        page.reload()
        dialog.get_by_text("3 deliveries of the list.").wait_for()
        page.go_back()
        dialog.wait_for(state="detached")
        page.go_forward()
        dialog.get_by_role("button", name="Replay 3 deliveries").wait_for()
        # When the number has changed meanwhile, then nothing is sent, and the deliveries are counted again
        made(admin)
        eventually(lambda: len(dead(admin, one)) == 2 and len(dead(admin, other)) == 2)
        receiver.answer = well
        receiver.received.clear()
        dialog.get_by_role("button", name="Replay 3 deliveries").click()
        dialog.get_by_text("The number has changed, so nothing was sent.").wait_for()
        assert receiver.received == []
        # When that number is confirmed, then each of the list is sent, and none of the other webhook
        dialog.get_by_role("button", name="Replay 4 deliveries").click()
        dialog.wait_for(state="detached")
        eventually(lambda: dead(admin, one) == [] and len(receiver.received) == 4)
        assert sorted(got.event["sequence"] for got in receiver.received if got.path == "/one") == [1, 2, 3, 4]
        assert len(dead(admin, other)) == 2
    for webhook_id in (one, other):
        admin.delete(f"/api/webhooks/{webhook_id}")
