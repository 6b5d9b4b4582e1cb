"""Every page: accessible in both schemes and widths, and never wider than its window."""

from typing import Any

import pytest

from tests.browser.test_applications import changed, made
from tests.browser.visits import LAPTOP, PHONE, REFUSED, SMALLEST, Visits, asked, scrolls_sideways, tried, violations
from tests.support.client import Client, Person

LONG = "Pay" + "y" * 120 + " to Ada?"


@pytest.fixture
def administrator(stack, admin: Client) -> Person:  # type: ignore[no-untyped-def]
    return Person("admin", stack.admin_password, admin)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_every_page_is_accessible(visits: Visits, administrator: Person, size: tuple[int, int], scheme: str) -> None:
    request = asked(administrator.client, "admin", "Pay 120.00 EUR to Ada?", data={"invoice": "2041"})
    page = visits.open(size=size, scheme=scheme)
    page.get_by_role("heading", name="Sign in").wait_for()
    found = {"sign-in": violations(page)}
    page = visits.signed_in(administrator, "#/inbox", size=size, scheme=scheme)
    page.get_by_role("button", name="Approve").first.wait_for()
    found["inbox"] = violations(page)
    application = made(administrator.client)
    for name, ready in pages(request, application, "admin", tried(administrator.client)).items():
        page.goto(f"{visits.url}#/{name}")
        page.get_by_text(ready).first.wait_for()
        found[name] = violations(page)
    page.get_by_role("button", name="Show the call: ask").click()
    page.get_by_role("dialog").wait_for()
    found["dialog"] = violations(page)
    page.keyboard.press("Escape")
    conflict(visits, page, administrator, application)
    found["conflict"] = violations(page)
    assert not {name: lines for name, lines in found.items() if lines}


def test_no_page_scrolls_sideways_on_the_smallest_phone(visits: Visits, administrator: Person) -> None:
    request = asked(administrator.client, "admin", LONG, body=LONG, data={LONG: LONG})
    page = visits.signed_in(administrator, "#/inbox", size=SMALLEST)
    page.get_by_role("button", name="Approve").first.wait_for()
    wide = {"inbox": scrolls_sideways(page)}
    application = made(administrator.client, applicantName=LONG, amountMinor=10**15)
    for name, ready in pages(request, application, "admin", tried(administrator.client)).items():
        page.goto(f"{visits.url}#/{name}")
        page.get_by_text(ready).first.wait_for()
        wide[name] = scrolls_sideways(page)
    conflict(visits, page, administrator, application)
    wide["conflict"] = scrolls_sideways(page)
    assert not {name for name, scrolls in wide.items() if scrolls}


def test_targets_on_a_phone_are_44_pixels_high(visits: Visits, administrator: Person) -> None:
    asked(administrator.client, "admin", "Pay 120.00 EUR to Ada?")
    page = visits.signed_in(administrator, "#/inbox", size=PHONE)
    page.get_by_role("button", name="Approve").first.wait_for()
    controls = "main button, .menu a, header button"
    low = page.eval_on_selector_all(
        controls, "all => all.filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.textContent)"
    )
    assert not low


def conflict(visits: Visits, page: Any, administrator: Person, application: str) -> None:
    """Open the dialog of a conflict on *page*."""
    visits.expect(REFUSED)
    page.goto(f"{visits.url}#/applications/{application}")
    page.get_by_label("Months").fill("24")
    changed(administrator.client, application, 1, termMonths=36)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("dialog").wait_for()


def pages(request: str, application: str, username: str, hook: tuple[str, str]) -> dict[str, str]:
    """Return a text of each page by its address, the form that asks last. *hook*: a webhook and a delivery."""
    webhook, delivery = hook
    return {
        "approvals": "Ask somebody",
        f"approvals/{request}": "Timeline",
        "applications": "Order",
        f"applications/{application}": "History",
        "ledger": "Verify the chain",
        "queues": "Completed and failed are exact",
        "overview": "in the last 24 hours",
        "cluster": "The process that answered last.",
        "queues/callback": "Dead letters of callback",
        "webhooks": "Priority",
        "webhooks/new": "Make the webhook",
        f"webhooks/{webhook}": "All deliveries of this webhook",
        f"webhooks/{webhook}?recover=yes": "would be sent",
        "deliveries": "Last answer",
        "deliveries?replay=yes": "of the list",
        "deliveries?status=delivered&type=no.event": "Clear filters",
        f"deliveries/{delivery}": "The signature is of this text.",
        "users": "New user",
        f"users/{username}": "Delete the user",
        "me": "Preferences",
        "try": "The phone of",
        "receiver": "Answer with",
        "ask": "Time to answer",
    }
