"""What each role sees, what a reload keeps, and what must not leak."""

from typing import Any

from infra.local.stack import Stack
from tests.browser.visits import REFUSED, Visits, asked, sign_in
from tests.support.client import Client, Person
from tests.support.stack import NewPerson


def test_user_sees_only_own_questions_and_cannot_ask(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann, ben = person(), person()
    asked(admin, ann.username, "For Ann?")
    asked(admin, ben.username, "For Ben?")
    page = visits.signed_in(ann, "#/approvals")
    page.get_by_role("link", name="For Ann?").wait_for()
    assert page.get_by_text("For Ben?").count() == 0
    assert page.get_by_role("link", name="Ask somebody").count() == 0
    page.goto(f"{visits.url}#/ask")
    page.get_by_text("It needs the role service, officer, or admin.").wait_for()


def test_officer_sees_own_questions_and_administrator_all(
    stack: Stack, visits: Visits, admin: Client, person: NewPerson
) -> None:
    ann, officer = person(), person("officer")
    visits.expect(REFUSED)
    foreign = asked(admin, ann.username, "For Ann?")
    asked(admin, officer.username, "For the officer?")
    page = visits.signed_in(officer, "#/approvals")
    page.get_by_role("link", name="For the officer?").wait_for()
    assert page.get_by_text("For Ann?").count() == 0
    assert page.get_by_role("search").count() == 0
    page.goto(f"{visits.url}#/approvals/{foreign}")
    page.get_by_role("alert").get_by_text("Forbidden").wait_for()
    boss = visits.signed_in(Person("admin", stack.admin_password or "", admin), f"#/approvals?username={ann.username}")
    boss.get_by_role("link", name="For Ann?").wait_for()
    assert boss.get_by_text("For the officer?").count() == 0
    boss.get_by_role("search").get_by_role("link", name="Clear").click()
    boss.get_by_role("link", name="For the officer?").wait_for()


def test_filter_survives_reload_and_back(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "Still open?")
    settled = asked(admin, ann.username, "Long settled?")
    ann.client.post(f"/api/pending-responses/{settled}/resolve", {"action": "reject"})
    page = visits.signed_in(ann, "#/approvals")
    page.get_by_role("link", name="resolved").click()
    page.get_by_role("link", name="Still open?").wait_for(state="detached")
    page.reload()
    page.get_by_role("link", name="Long settled?").wait_for()
    assert page.get_by_role("link", name="Still open?").count() == 0
    page.get_by_role("link", name="Long settled?").click()
    page.get_by_role("heading", name="Timeline").wait_for()
    page.go_back()
    page.get_by_role("link", name="Long settled?").wait_for()
    assert page.url.endswith("#/approvals?status=resolved")


def test_token_is_nowhere_and_markup_is_text(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "<img src=x onerror=alert(1)>", body="<script>alert(1)</script>")
    page = visits.signed_in(ann)
    page.get_by_role("heading", name="<img src=x onerror=alert(1)>").wait_for()
    assert page.locator("main img, main script").count() == 0
    (cookie,) = [one for one in page.context.cookies() if one["name"].endswith("holdfast")]
    assert cookie["httpOnly"]
    held = page.evaluate("[document.cookie, location.href, JSON.stringify(localStorage), document.body.innerHTML]")
    assert not [text for text in held if cookie["value"] in text]


def test_console_works_below_the_stage_of_the_gateway(stack: Stack, visits: Visits, person: NewPerson) -> None:
    page = visits.open()
    base = f"{stack.api_url}/console"
    assert page.goto(base).ok
    page.get_by_role("heading", name="Sign in").wait_for()
    assert page.url == f"{base}/"
    requested = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert requested
    assert not [url for url in requested if not url.startswith(base)]
    # Calls of the API go below the stage as well, and the session holds there.
    called: list[str] = []
    page.on("request", lambda request: called.append(request.url))
    sign_in(page, person())
    page.get_by_role("heading", name="No question waits for you").wait_for()
    page.reload()
    page.get_by_role("heading", name="No question waits for you").wait_for()
    assert any("/api/pending-responses" in url for url in called)
    assert not [url for url in called if not url.startswith(f"{stack.api_url}/")]


def test_new_version_is_offered_and_keeps_the_address(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person(), "#/approvals?status=pending")
    page.get_by_role("heading", name="Nothing matches").wait_for()
    page.route("**/config.json", _newer)
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.get_by_text("A new version of the console is here.").wait_for()
    page.unroute("**/config.json")
    page.get_by_role("button", name="Reload").click()
    page.get_by_role("heading", name="Nothing matches").wait_for()
    assert page.url.endswith("#/approvals?status=pending")


def _newer(route: Any) -> None:
    route.fulfill(json={"stage": "local", "version": "2", "console": "000000000000"})
