"""The overview: where people begin, what is failing, and the first steps."""

import re
from typing import Any

import pytest

from infra.local.stack import Stack
from tests.browser.test_applications import changed, made
from tests.browser.test_operating import dead_letter
from tests.browser.visits import REFUSED, SMALLEST, Visits, asked, violations
from tests.support.approvals import request_path
from tests.support.client import Client, json_of
from tests.support.receiver import receiving
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

#: The stores are asked every 12 s, and every 5 s while one is down; a probe of a store that is back takes a while.
SEEN_MS = 30_000
_IDLE = {"pending": 0, "processing": 0, "completed": 0, "failed": 0, "dead": 0}


@pytest.mark.parametrize(
    ("role", "heading"),
    [("admin", "Overview"), ("officer", "Applications"), ("user", "Inbox"), ("service", "Inbox")],
)
def test_each_role_lands_on_its_own_page_after_sign_in(
    visits: Visits, person: NewPerson, role: str, heading: str
) -> None:
    page = visits.signed_in(person(role))
    page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.goto(f"{visits.url}#/me")
    page.get_by_role("heading", name="Preferences").wait_for()
    page.get_by_role("link", name="Holdfast", exact=True).click()
    page.get_by_role("heading", name=heading, exact=True).wait_for()


def test_dead_letter_shows_as_a_tile_that_links_to_its_queue(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss, ann = person("admin"), person()
    # Other tests leave dead letters.
    for queue, figures in json_of(admin.get("/api/admin/queue-stats"))["queues"].items():
        if figures["dead"]:
            json_of(admin.delete(f"/api/admin/queues/{queue}/dead?confirm={queue}"))
    page = visits.signed_in(boss)
    tile = page.get_by_role("region", name="State").get_by_role("link", name="Dead letters")
    tile.get_by_text("no work given up").wait_for()
    with receiving() as receiver:
        dead_letter(admin, ann, receiver)
    page.get_by_role("button", name="Refresh").click()
    tile.get_by_text("in callback").wait_for()
    assert tile.get_by_text("1", exact=True).is_visible()
    page.get_by_role("region", name="What is failing").get_by_role("link", name="1 dead letter in callback").wait_for()
    bar = page.get_by_role("region", name="Queues").get_by_role("listitem").filter(has_text="callback")
    assert bar.get_by_text("1 dead").is_visible()
    assert bar.locator(".part.dead").bounding_box()["width"] > 1
    tile.click()
    page.get_by_role("heading", name="Dead letters of callback").wait_for()
    page.get_by_role("article").wait_for()


def test_store_that_is_down_is_named_and_old_numbers_are_dated(
    stack: Stack, visits: Visits, admin: Client, person: NewPerson
) -> None:
    boss = person("admin")
    asked(admin, boss.username, "Pay 120.00 EUR?")
    visits.expect(REFUSED)
    page = visits.signed_in(boss)
    questions, stores = (page.get_by_role("link", name=name) for name in ("Open questions", "Stores"))
    questions.get_by_text("wait for an answer").wait_for()
    before = questions.locator(".figure").inner_text()
    stack.mongod.stop()
    try:
        page.get_by_role("link", name="MongoDB does not answer").wait_for(timeout=SEEN_MS)
        assert re.search(r"down\s*MongoDB", stores.inner_text())
        assert re.search(r"ok\s*DynamoDB", stores.inner_text())
        questions.get_by_text("as of ").wait_for(timeout=SEEN_MS)
        assert questions.locator(".figure").inner_text() == before
        page.get_by_role("alert").get_by_text("What you see may be old.").wait_for()
    finally:
        stack.mongod.start()
    page.get_by_role("link", name="MongoDB does not answer").wait_for(state="detached", timeout=SEEN_MS)
    questions.get_by_text("wait for an answer").wait_for(timeout=SEEN_MS)
    page.get_by_text("What you see may be old.").wait_for(state="detached")


def test_steps_are_ticked_by_what_is_in_the_stores(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss, robot = person("admin"), person("service")
    application = made(admin)
    page = visits.signed_in(boss)
    page.get_by_text("in the last 24 hours").wait_for()
    assert step(page, "Ask yourself").get_by_text("to do").is_visible()
    assert step(page, "Make an API key").get_by_text("to do").is_visible()
    # A question of a service that has no key yet is no use of a key.
    asked(robot.client, boss.username, "Deploy?")
    changed(admin, application, 1, termMonths=36)
    with receiving() as receiver:
        request = asked(boss.client, boss.username, "Deploy?", callbackUrl=receiver.url)
        json_of(boss.client.post(request_path(request, "resolve"), {"action": "approve"}))
        eventually(lambda: json_of(admin.get("/api/admin/queue-stats"))["queues"]["callback"]["completed"])
    page.get_by_role("button", name="Refresh").click()
    for name in ("Ask yourself", "Change an application", "Add a webhook"):
        step(page, name).get_by_text("done").wait_for()
    assert step(page, "Make an API key").get_by_text("to do").is_visible()
    key = json_of(admin.post(f"/api/users/{robot.username}/keys", {"name": "first"}), 201)["key"]
    asked(Client(admin.url, key), boss.username, "Does my key work?")
    # The number of open questions has changed: no refresh is needed.
    page.get_by_text("All first steps are done.").wait_for(timeout=35_000)
    page.reload()
    page.get_by_text("All first steps are done.").wait_for()


def test_skipped_steps_stay_away_until_they_are_asked_for(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"))
    steps = page.get_by_role("region", name="First steps")
    steps.get_by_role("button", name="Skip").click()
    steps.wait_for(state="detached")
    page.reload()
    page.get_by_role("button", name="Show the first steps").wait_for()
    assert steps.count() == 0
    page.get_by_role("button", name="Show the first steps").click()
    steps.get_by_role("button", name="Skip").click()
    page.goto(f"{visits.url}#/me")
    page.get_by_label("First steps on the overview").select_option("shown")
    page.goto(f"{visits.url}#/overview")
    steps.get_by_role("button", name="Skip").wait_for()


def test_example_is_made_where_no_application_is(visits: Visits, person: NewPerson) -> None:
    boss = person("admin")
    page = visits.open()
    page.route("**/api/applications?*", lambda route: route.fulfill(json={"items": [], "total": 0, "nextCursor": None}))
    page.get_by_label("Username").fill(boss.username)
    page.get_by_label("Password").fill(boss.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Make an example").click()
    page.get_by_role("heading", name="Ada Lovelace").wait_for()


def test_step_of_the_callback_opens_the_form_with_an_address(visits: Visits, person: NewPerson) -> None:
    boss = person("admin")
    page = visits.signed_in(boss, "#/me")
    # Nothing was called yet, whatever other tests called.
    page.route("**/api/admin/queue-stats", lambda route: route.fulfill(json={**_IDLE, "queues": {"callback": _IDLE}}))
    page.route("**/api/webhooks", lambda route: route.fulfill(json={"items": [], "nextCursor": None}))
    page.goto(f"{visits.url}#/overview")
    page.get_by_role("link", name="Ask with a callback").click()
    assert page.get_by_label("For", exact=True).input_value() == boss.username
    page.get_by_label("Question").fill("Deploy?")
    with receiving() as receiver:
        page.get_by_label("Callback address").fill(receiver.url)
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_role("button", name="Approve").click()
        eventually(lambda: receiver.received)


def test_several_failures_are_accessible_links(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"), "#/me", size=SMALLEST)
    figures = {"pending": 3, "processing": 1, "completed": 9, "failed": 5, "dead": 2}
    queues = dict.fromkeys(("push", "callback"), figures)
    page.route("**/api/admin/queue-stats", lambda route: route.fulfill(json={**figures, "queues": queues}))
    page.goto(f"{visits.url}#/overview")
    failing = page.get_by_role("region", name="What is failing").get_by_role("link")
    failing.first.wait_for()
    assert failing.all_inner_texts() == ["2 dead letters in push", "2 dead letters in callback"]
    page.get_by_role("link", name="Dead letters 4 in 2 queues").wait_for()
    assert not violations(page)


def test_parts_of_a_bar_differ_in_forced_colours(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"), forced_colors="active", reduced_motion="reduce", size=SMALLEST)
    page.get_by_text("in the last 24 hours").wait_for()
    parts = page.get_by_role("region", name="Queues").get_by_role("listitem").first.locator(".part")
    looks = parts.evaluate_all(
        "all => all.map((one) => getComputedStyle(one)).map((its) => its.backgroundColor + its.backgroundImage)"
    )
    assert len(set(looks)) == 3, looks
    assert not violations(page)


def step(page: Any, title: str) -> Any:
    """Return one of the first steps."""
    return page.get_by_role("region", name="First steps").get_by_role("listitem").filter(has_text=title)
