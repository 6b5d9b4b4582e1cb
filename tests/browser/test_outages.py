"""Stores that are down, sessions that end and networks that break: nothing shown or typed is lost."""

from typing import Any

from infra.local.stack import Stack
from tests.browser.visits import REFUSED, Visits, asked, sign_in
from tests.support.client import Client
from tests.support.stack import NewPerson
from tests.support.waiting import eventually


def test_rows_stay_while_mongodb_is_down(stack: Stack, visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "Pay 120.00 EUR?")
    visits.expect(REFUSED)
    page = visits.signed_in(ann)
    page.get_by_role("heading", name="Pay 120.00 EUR?").wait_for()
    stack.mongod.stop()
    try:
        page.get_by_role("alert").get_by_text("What you see may be old.").wait_for(timeout=10_000)
        assert page.get_by_role("heading", name="Pay 120.00 EUR?").is_visible()
        assert page.get_by_text("As of ").is_visible()
    finally:
        stack.mongod.start()
    page.get_by_text("What you see may be old.").wait_for(state="detached", timeout=15_000)
    assert page.get_by_role("button", name="Approve").is_visible()


def test_write_is_refused_with_its_reason_while_mongodb_is_down(
    stack: Stack, visits: Visits, person: NewPerson
) -> None:
    ann, officer = person(), person("officer")
    visits.expect(REFUSED)
    page = visits.signed_in(officer, "#/ask")
    page.get_by_label("For").fill(ann.username)
    page.get_by_label("Question").fill("Order 40 chairs?")
    send = page.get_by_role("button", name="Ask", exact=True)
    stack.mongod.stop()
    try:
        send.click()
        page.locator("form").get_by_role("alert").wait_for()
        banner = page.locator("header").get_by_role("alert").inner_text()
        assert banner.startswith(page.locator("form").get_by_role("alert").inner_text())
    finally:
        stack.mongod.start()
    # Nothing typed is lost, and the same click works once the functions have found mongod again.
    assert page.get_by_label("Question").input_value() == "Order 40 chairs?"
    _click_until(send, page.get_by_role("heading", name="Order 40 chairs?"))
    assert len(ann.client.get("/api/pending-responses").json()["items"]) == 1


def test_ended_session_loses_nothing_typed(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann, officer = person(), person("officer")
    visits.expect(REFUSED)
    page = visits.signed_in(officer, "#/ask")
    page.get_by_label("For").fill(ann.username)
    page.get_by_label("Question").fill("Order 40 chairs?")
    assert admin.delete(f"/api/users/{officer.username}/sessions").status_code == 204
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("dialog", name="Sign in again").wait_for()
    sign_in(page, officer)
    page.get_by_role("heading", name="Order 40 chairs?").wait_for()
    listed = ann.client.get("/api/pending-responses").json()["items"]
    assert [item["title"] for item in listed] == ["Order 40 chairs?"]


def test_double_click_on_a_slow_network_asks_once(visits: Visits, person: NewPerson) -> None:
    ann, officer = person(), person("officer")
    page = visits.signed_in(officer, "#/ask")
    page.route("**/send-notification", lambda route: (page.wait_for_timeout(700), route.continue_()))
    page.get_by_label("For").fill(ann.username)
    page.get_by_label("Question").fill("Order 40 chairs?")
    page.get_by_role("button", name="Ask", exact=True).dblclick()
    page.get_by_role("heading", name="Order 40 chairs?").wait_for()
    assert len(ann.client.get("/api/pending-responses").json()["items"]) == 1


def test_lost_network_is_told_and_returns(visits: Visits, person: NewPerson) -> None:
    visits.expect(REFUSED)
    page = visits.signed_in(person())
    page.get_by_role("heading", name="No question waits for you").wait_for()
    page.context.set_offline(True)
    page.get_by_role("alert").get_by_text("Holdfast cannot be reached.").wait_for(timeout=10_000)
    page.context.set_offline(False)
    page.get_by_text("Holdfast cannot be reached.").wait_for(state="detached", timeout=5_000)


def _click_until(button: Any, shown: Any) -> None:
    """Click *button*, and again after each refusal, until *shown* is on the page. A disabled button ignores a click."""

    def clicked() -> bool:
        button.evaluate_all("buttons => buttons.forEach((button) => button.click())")
        return bool(shown.is_visible())

    eventually(clicked, every_seconds=1)
