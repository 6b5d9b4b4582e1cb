"""Keys and the palette: each leads where the help says, and none is taken from a field."""

from typing import Any

from tests.browser.test_keys import focused
from tests.browser.visits import Visits, asked, violations
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson


def test_keys_go_to_pages_rows_and_back(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "Older?")
    asked(admin, ann.username, "Newer?")
    page = visits.signed_in(ann)
    page.get_by_role("heading", name="Newer?").wait_for()
    page.keyboard.type("ga")
    page.get_by_role("row", name="Newer?").wait_for()
    page.keyboard.type("jj")
    assert focused(page) == "Older?"
    page.keyboard.type("k")
    assert focused(page) == "Newer?"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Timeline").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Older?").wait_for()
    page.keyboard.type(".")
    page.get_by_role("button", name="Paused").wait_for()
    with page.expect_response("**/api/pending-responses?*"):
        page.keyboard.type("r")
    page.keyboard.type("gi")
    page.get_by_role("heading", name="Older?").wait_for()
    page.keyboard.type("j")
    assert focused(page) == "Older?"


def test_no_key_is_taken_from_a_field(visits: Visits, admin: Client, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"), "#/approvals")
    page.get_by_role("button", name="Filter").wait_for()
    page.keyboard.type("/")
    assert focused(page) == "For"
    page.keyboard.type("gi.?/rj")
    assert page.get_by_label("For", exact=True).input_value() == "gi.?/rj"
    assert page.get_by_role("button", name="Live").count() == 1
    assert page.get_by_role("dialog").count() == 0
    assert page.url.endswith("#/approvals")


def test_keys_that_are_switched_off_do_nothing(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person(), "#/me")
    page.get_by_label("Keys without Ctrl").select_option("off")
    page.reload()
    page.get_by_role("heading", name="Preferences").wait_for()
    page.keyboard.type("ga?.")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Go to").wait_for()
    page.keyboard.press("Escape")
    assert page.url.endswith("#/me")
    assert page.get_by_role("button", name="Live").count() == 1
    # The help has a button too.
    page.get_by_role("button", name="Show the keys").click()
    page.get_by_role("dialog", name="Keys").wait_for()


def test_help_and_palette_are_accessible_dialogs(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person())
    page.get_by_role("heading", name="Inbox").wait_for()
    page.keyboard.type("?")
    page.get_by_role("dialog", name="Keys").get_by_text("Go to: Approvals").wait_for()
    # A role that may not ask is not told of the page that asks.
    assert page.get_by_text("Go to: Ask somebody").count() == 0
    assert not violations(page)
    # The dialog has the keys to itself.
    page.keyboard.type("ga")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.get_by_role("heading", name="Inbox").is_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Go to").wait_for()
    assert not violations(page)


def test_palette_opens_pages_and_questions(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    request = asked(admin, ann.username, "Pay 120.00 EUR?")
    page = visits.signed_in(ann)
    page.get_by_role("heading", name="Pay 120.00 EUR?").wait_for()
    go_to(page, "appr")
    page.get_by_role("heading", name="Approvals").wait_for()
    # Inbox, Approvals, Messages, Me: the last is one back.
    go_to(page, "", "ArrowUp")
    page.get_by_role("heading", name="Preferences").wait_for()
    assert page.evaluate("document.activeElement.id") == "main"
    go_to(page, request)
    page.get_by_role("heading", name="Timeline").wait_for()


def test_palette_opens_webhooks_and_deliveries_by_their_ids(visits: Visits, admin: Client, person: NewPerson) -> None:
    # Port 9 refuses every call.
    new = {"url": "http://127.0.0.1:9/", "events": ["application.created"]}
    webhook = json_of(admin.post("/api/webhooks", new), 201)["webhookId"]
    delivery = json_of(admin.post(f"/api/webhooks/{webhook}/test"), 202)["deliveryId"]
    page = visits.signed_in(person("admin"), "#/inbox")
    page.get_by_role("heading", name="Inbox").wait_for()
    # Question, application, webhook
    go_to(page, webhook, "ArrowDown", "ArrowDown")
    page.get_by_role("heading", name="127.0.0.1:9").wait_for()
    go_to(page, delivery)
    page.get_by_role("heading", name="webhook.test").wait_for()
    admin.delete(f"/api/webhooks/{webhook}")


def test_control_and_enter_send_a_form(visits: Visits, person: NewPerson) -> None:
    ann, officer = person(), person("officer")
    page = visits.signed_in(officer, "#/inbox")
    page.get_by_role("heading", name="Inbox").wait_for()
    page.keyboard.type("gn")
    page.get_by_label("For").fill(ann.username)
    page.get_by_label("Question").fill("Order 40 chairs?")
    page.get_by_label("Details").fill("Blue ones.")
    page.keyboard.press("Control+Enter")
    page.get_by_role("heading", name="Order 40 chairs?").wait_for()
    assert len(ann.client.get("/api/pending-responses").json()["items"]) == 1


def go_to(page: Any, text: str, *keys: str) -> None:
    """Open the palette, type *text*, press *keys* and Enter."""
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Go to").wait_for()
    page.keyboard.type(text)
    for key in (*keys, "Enter"):
        page.keyboard.press(key)
