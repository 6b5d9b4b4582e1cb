"""Everything by the keyboard, with the focus in sight."""

from typing import Any

from tests.browser.visits import Visits, asked
from tests.support.client import Client
from tests.support.stack import NewPerson


def test_question_is_answered_by_keys_alone(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "Pay 120.00 EUR?")
    page = visits.open()
    page.get_by_role("heading", name="Sign in").wait_for()
    until(page, "Username")
    page.keyboard.type(ann.username)
    until(page, "Password")
    page.keyboard.type(ann.password)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Pay 120.00 EUR?").wait_for()
    until(page, "Show the call: answer")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert focused(page) == "The call: answer"
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    # The focus is back where it was, and survives the next poll.
    assert focused(page) == "Show the call: answer"
    with page.expect_response("**/api/pending-responses*"):
        pass
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "Approve"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_text("Answered by you: approve").wait_for()


def test_question_is_found_opened_and_decided_by_keys_alone(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "Order 40 chairs?")
    page = visits.signed_in(ann)
    for link, then in (("Approvals", "Approvals"), ("Order 40 chairs?", "Order 40 chairs?")):
        press(page, link)
        page.get_by_role("heading", name=then).wait_for()
    press(page, "Reject")
    page.get_by_role("region", name="Timeline").get_by_text("answered: reject").wait_for()
    # The buttons are gone; the keys go on from the page.
    press(page, "Approvals")
    page.get_by_role("heading", name="Approvals").wait_for()


def test_skip_link_and_navigation_move_the_focus_to_the_page(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person())
    page.evaluate("document.activeElement.blur()")
    until(page, "Skip to the page")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Approvals").click()
    page.get_by_role("heading", name="Approvals").wait_for()
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.title() == "Approvals · Holdfast"


def focused(page: Any) -> str:
    """Return the name of the focused element: its label or its text."""
    script = "((one) => one.ariaLabel || one.labels?.[0]?.textContent || one.textContent)(document.activeElement)"
    return str(page.evaluate(script))


def press(page: Any, name: str) -> None:
    """Press Tab until *name* has the focus, which must be seen, and then Enter."""
    page.get_by_text(name, exact=True).first.wait_for()
    until(page, name)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")


def until(page: Any, name: str) -> None:
    """Press Tab until *name* has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    raise AssertionError(f"no Tab leads to {name}")
