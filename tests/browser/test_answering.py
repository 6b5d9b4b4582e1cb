"""Questions answered on a phone, by several people, and by nobody."""

from concurrent.futures import ThreadPoolExecutor

from tests.browser.visits import PHONE, REFUSED, Visits, asked
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson

#: A poll comes after 5 s, and the answers of cold functions take some.
SOON_MS = 15_000


def test_answer_on_a_phone_reaches_the_waiting_caller(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    phone, laptop = visits.signed_in(ann, size=PHONE), visits.signed_in(ann)
    with ThreadPoolExecutor() as pool:
        caller = pool.submit(admin.post, "/send-notification", {"username": ann.username, "title": "Pay 120.00 EUR?"})
        phone.get_by_role("heading", name="Pay 120.00 EUR?").wait_for(timeout=SOON_MS)
        laptop.get_by_role("heading", name="Pay 120.00 EUR?").wait_for(timeout=SOON_MS)
        with phone.expect_response("**/resolve") as answered:
            phone.get_by_role("button", name="Approve").click()
        outcome = caller.result()
    assert json_of(outcome, 200)["action"] == "approve"
    assert answered.value.headers["x-instance-id"] != outcome.headers["X-Instance-Id"]
    # The other device learns it, and can no longer answer.
    settled = laptop.get_by_role("region", name="Settled just now")
    settled.get_by_text("Answered elsewhere, by you: approve").wait_for(timeout=SOON_MS)
    assert laptop.get_by_role("button", name="Approve").count() == 0
    # Each action shows its call, with the instance that answered.
    phone.get_by_role("region", name="Settled just now").get_by_text("Answered by you: approve").wait_for()


def test_two_approvers_are_counted_and_a_third_is_told(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann, ben, eve = person(), person(), person()
    others = [ben.username, eve.username]
    request = asked(admin, ann.username, "Release 4.2?", approvers=others, required=2)
    visits.expect(REFUSED)
    page, third = visits.signed_in(ann), visits.signed_in(eve)
    third.get_by_role("heading", name="Release 4.2?").wait_for()
    # The third page stands still, as a phone in a pocket does.
    third.get_by_role("button", name="Live").click()
    ben.client.post(f"/api/pending-responses/{request}/resolve", {"action": "approve"})
    page.get_by_text("1 of 2 approvals").wait_for(timeout=SOON_MS)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Answered by you: approve").wait_for(timeout=SOON_MS)
    third.get_by_role("button", name="Approve").click()
    third.get_by_role("status").get_by_text("no longer pending").wait_for()
    third.get_by_text(f"Answered elsewhere, by {ann.username}").wait_for()


def test_timeout_comes_from_the_server_despite_a_wrong_clock(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    page = visits.signed_in(ann)
    page.context.add_init_script("const now = Date.now; Date.now = () => now() + 300_000;")
    page.reload()
    page.get_by_role("heading", name="Inbox").wait_for()
    asked(admin, ann.username, "Open door 3?", timeout_ms=8_000)
    card = page.get_by_role("article").filter(has_text="Open door 3?")
    card.get_by_text(" s left").wait_for(timeout=SOON_MS)
    settled = page.get_by_role("region", name="Settled just now")
    settled.get_by_text("timeout").wait_for(timeout=15_000)


def test_asked_question_opens_and_can_be_cancelled(visits: Visits, person: NewPerson) -> None:
    ann, officer = person(), person("officer")
    page = visits.signed_in(officer, "#/ask")
    page.get_by_label("For").fill(ann.username)
    page.get_by_label("Question").fill("Order 40 chairs?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("heading", name="Order 40 chairs?").wait_for()
    page.get_by_role("button", name="Cancel question").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel question").click()
    dialog.wait_for(state="detached")
    page.get_by_text("cancelled").first.wait_for(timeout=SOON_MS)
    page.get_by_role("button", name="Approve").wait_for(state="detached")


def test_unknown_person_is_refused_in_the_form(visits: Visits, person: NewPerson) -> None:
    visits.expect(REFUSED)
    page = visits.signed_in(person("officer"), "#/ask")
    page.get_by_label("For").fill("nobody-of-this-name")
    page.get_by_label("Question").fill("Order 40 chairs?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Question").input_value() == "Order 40 chairs?"
