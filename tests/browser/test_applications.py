"""Applications in the console: two who change one, many moved together, and money that moves once."""

import secrets
from typing import Any

from tests.browser.visits import REFUSED, Visits, sign_in
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson

PATH = "/api/applications"
DOC = {
    "applicantName": "Ada Lovelace",
    "email": "ada@example.org",
    "amountMinor": 100_000,
    "currency": "EUR",
    "termMonths": 12,
    "status": "submitted",
}


def made(client: Client, **fields: Any) -> str:
    """Make an application; return its id."""
    return str(json_of(client.post(PATH, {**DOC, **fields}), 201)["applicationId"])


def changed(client: Client, application_id: str, version: int, **fields: Any) -> None:
    """Change an application past the console."""
    json_of(client.call("PUT", f"{PATH}/{application_id}", {"version": version, **fields}))


def opened(visits: Visits, someone: Any, application_id: str) -> Any:
    """Return a page of *someone* that shows the application."""
    page = visits.signed_in(someone, f"#/applications/{application_id}")
    page.get_by_label("Amount").wait_for()
    return page


def test_conflict_is_merged_field_by_field(visits: Visits, person: NewPerson) -> None:
    # Given two officers; one has typed an amount and a term, and the other saves another amount
    olga, otto = person("officer"), person("officer")
    one = made(olga.client)
    page = opened(visits, otto, one)
    page.get_by_label("Amount").fill("3000")
    page.get_by_label("Months").fill("24")
    changed(olga.client, one, 1, amountMinor=200_000)
    # Then the page says so early
    page.get_by_text(f"{olga.username} saved version 2 meanwhile.").wait_for()
    # When the second saves
    visits.expect(REFUSED)
    page.get_by_role("button", name="Save", exact=True).click()
    # Then one dialog shows what it was, theirs and yours, and saves once the amount is chosen
    dialog = page.get_by_role("dialog", name=f"{olga.username} saved version 2")
    dialog.get_by_text("It was EUR 1,000.00").wait_for()
    assert dialog.get_by_role("button", name="Save as version 3").is_disabled()
    dialog.get_by_text("Months: 24").wait_for()
    # And Escape loses nothing
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.get_by_label("Amount").input_value() == "3000"
    page.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_label("Yours EUR 3,000.00").check()
    # And another version meanwhile keeps the choice
    changed(olga.client, one, 2, email="new@example.org")
    dialog.get_by_role("button", name="Save as version 3").click()
    again = page.get_by_role("dialog", name=f"{olga.username} saved version 3")
    again.get_by_text("Somebody saved again. Your choices are kept.").wait_for()
    again.get_by_text("E-mail: new@example.org").wait_for()
    assert again.get_by_label("Yours EUR 3,000.00").is_checked()
    again.get_by_role("button", name="Save as version 4").click()
    again.wait_for(state="detached")
    # And version 4 has all of it, and the history says who
    found = json_of(olga.client.get(f"{PATH}/{one}"))
    assert (found["version"], found["amountMinor"], found["termMonths"]) == (4, 300_000, 24)
    assert found["email"] == "new@example.org"
    page.get_by_text(f"{otto.username} saved version 4").wait_for()


def test_conflicts_of_a_batch_are_retried_alone(visits: Visits, person: NewPerson) -> None:
    olga = person("officer")
    mark = f"B{secrets.token_hex(4)}"
    ids = [made(olga.client, applicantName=f"{mark} number {number}") for number in range(20)]
    page = visits.signed_in(olga, f"#/applications?q={mark}")
    page.get_by_text("20 applications").wait_for()
    # Given 20 chosen applications, of which three changed after the page showed them
    page.get_by_role("button", name="Live").click()
    page.get_by_label("All on this page").check()
    for one in ids[:3]:
        changed(olga.client, one, 1, termMonths=6)
    page.get_by_role("group", name="Move the chosen").get_by_role("button", name="Approve").click()
    # Then 17 are moved, and the three are named
    outcome = page.get_by_role("status", name="Outcome of the move to approved")
    outcome.get_by_text("Moved: 17").wait_for()
    outcome.get_by_text("Changed by somebody meanwhile: 3").wait_for()
    assert sum(json_of(olga.client.get(f"{PATH}/{one}"))["status"] == "approved" for one in ids[:3]) == 0
    # When the conflicts are retried, then exactly those are moved
    outcome.get_by_role("button", name="Retry the conflicts").click()
    outcome.get_by_text("Moved: 3").wait_for()
    assert {json_of(olga.client.get(f"{PATH}/{one}"))["status"] for one in ids} == {"approved"}
    assert {json_of(olga.client.get(f"{PATH}/{one}"))["version"] for one in ids[3:]} == {2}


def test_double_click_over_a_slow_network_pays_once(visits: Visits, admin: Client, person: NewPerson) -> None:
    boss = person("admin")
    one = made(boss.client)
    changed(boss.client, one, 1, status="approved")
    page = opened(visits, boss, one)
    asked: list[str] = []

    def slowly(route: Any) -> None:
        asked.append(route.request.headers["idempotency-key"])
        page.wait_for_timeout(500)
        route.continue_()

    page.route("**/disburse", slowly)
    page.get_by_role("button", name="Disburse", exact=True).click()
    dialog = page.get_by_role("dialog", name="Disburse EUR 1,000.00?")
    dialog.get_by_role("button", name="Disburse EUR 1,000.00").dblclick()
    dialog.wait_for(state="detached")
    page.get_by_text("disbursed", exact=True).first.wait_for()
    assert len(set(asked)) == 1
    entries = json_of(admin.get("/api/ledger?limit=200"))["items"]
    assert [entry["amountMinor"] for entry in entries if entry["applicationId"] == one] == [100_000]


def test_form_survives_the_end_of_the_session(visits: Visits, admin: Client, person: NewPerson) -> None:
    olga = person("officer")
    one = made(olga.client)
    page = opened(visits, olga, one)
    page.get_by_label("Applicant").fill("Ada King")
    # When the session ends elsewhere, and the form is saved
    visits.expect(REFUSED)
    assert admin.delete(f"/api/users/{olga.username}/sessions").status_code == 204
    page.get_by_role("button", name="Save", exact=True).click()
    # Then sign-in opens over the page, and the save goes through once
    dialog = page.get_by_role("dialog", name="Sign in again")
    dialog.wait_for()
    sign_in(page, olga)
    page.get_by_text("Saved version 2", exact=True).wait_for()
    found = json_of(admin.get(f"{PATH}/{one}"))
    assert (found["version"], found["applicantName"]) == (2, "Ada King")


def test_legal_moves_alone_have_buttons(visits: Visits, person: NewPerson) -> None:
    olga, uma = person("officer"), person("user")
    one = made(olga.client, status="draft")
    page = opened(visits, olga, one)
    moves = page.get_by_role("group", name="Move")
    for verbs, state in (
        (["Submit"], "draft"),
        (["Review", "Approve", "Reject"], "submitted"),
        (["Approve", "Reject"], "review"),
    ):
        page.locator("h1 + .state").get_by_text(state).wait_for()
        found = [words for words in moves.get_by_role("button").all_inner_texts() if words != "</>"]
        assert found == verbs
        moves.get_by_role("button", name=verbs[0]).click()
    # An approved application is paid out by administrators alone.
    page.locator("h1 + .state").get_by_text("approved").wait_for()
    assert page.get_by_role("button", name="Disburse").count() == 0
    assert page.get_by_label("Amount").is_disabled()
    # And somebody without the role has no entry in the menu, and is told the roles
    page = visits.signed_in(uma, f"#/applications/{one}")
    page.get_by_text("It needs the role officer or admin.").wait_for()
    assert page.get_by_role("link", name="Applications").count() == 0
