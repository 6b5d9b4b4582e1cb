"""The receiver of callbacks on its page: what came, and what the receiver is told to answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from infra.local.stack import Stack
from tests.browser.visits import LAPTOP, PHONE, REFUSED, SMALLEST, Visits, scrolls_sideways, violations
from tests.support.approvals import request_path
from tests.support.client import json_of
from tests.support.stack import NewPerson

#: The first pause of the schedule of callbacks is 5 s.
NEXT_ATTEMPT_MS = 30_000


@pytest.fixture
def receiver(stack: Stack) -> Iterator[str]:
    """The URL of a receiver that has received nothing and answers 204."""
    forgotten(stack.receiver_url)
    yield stack.receiver_url
    forgotten(stack.receiver_url)


def forgotten(url: str) -> None:
    """Forget the calls and what was told."""
    assert requests.delete(f"{url}/received", timeout=10).status_code == 204
    assert requests.put(f"{url}/answer", json={"status": 204}, timeout=10).status_code == 200


def test_callback_of_an_asked_question_is_shown(visits: Visits, receiver: str, person: NewPerson) -> None:
    officer, ann = person("officer"), person()
    # Given the page of the receiver, which is found from the demonstration, and says how to make a call
    shown = visits.signed_in(officer, "#/try")
    shown.get_by_role("link", name="see a callback arrive").click()
    shown.get_by_role("heading", name="Nothing received").wait_for()
    # When a question with the built-in receiver is asked, and answered
    page = visits.signed_in(officer, "#/ask")
    page.get_by_label("For").fill(ann.username)
    page.get_by_label("Question").fill("Order 42 chairs?")
    page.get_by_text("Callback", exact=True).click()
    page.get_by_role("button", name="Use the built-in receiver").click()
    assert page.get_by_label("Callback address").input_value() == f"{receiver}/callbacks"
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("heading", name="Order 42 chairs?").wait_for()
    request = page.url.rpartition("/")[2]
    json_of(ann.client.post(request_path(request, "resolve"), {"action": "approve"}))
    # Then the call is shown with its type, path, signature and answer, and leads to the question
    (card,) = one_by_one(shown, 1)
    link = card.get_by_role("link", name="approval.resolved")
    assert link.get_attribute("href") == f"#/approvals/{request}"
    (call,) = requests.get(f"{receiver}/received", timeout=10).json()["items"]
    for words in ("/callbacks", "answered 204", call["headers"]["webhook-id"], call["headers"]["webhook-signature"]):
        assert card.get_by_text(words, exact=True).is_visible(), words
    card.get_by_text("Body", exact=True).click()
    assert card.get_by_text('"action": "approve"').is_visible()


def test_failing_receiver_gets_the_next_attempt(visits: Visits, receiver: str, person: NewPerson) -> None:
    officer, ann = person("officer"), person()
    page = visits.signed_in(officer, "#/receiver")
    page.get_by_label("Answer with").select_option("500, fails")
    page.get_by_role("status").get_by_text("From now on: 500, fails").wait_for()
    question = {"username": ann.username, "title": "Fail?", "wait": False, "callbackUrl": f"{receiver}/fails"}
    request = json_of(officer.client.post("/send-notification", question), 202)["requestId"]
    json_of(ann.client.post(request_path(request, "resolve"), {"action": "approve"}))
    page.get_by_role("article").get_by_text("answered 500").wait_for()
    page.get_by_label("Answer with").select_option("204, as it should")
    newest, first = one_by_one(page, 2)
    assert first.get_by_text("answered 500").is_visible()
    assert newest.get_by_text("answered 204").is_visible()
    assert newest.get_by_text("call 2 with this id").is_visible()
    # Forgotten calls are gone, here and at the receiver
    page.get_by_role("button", name="Forget all").click()
    page.get_by_role("heading", name="Nothing received").wait_for()
    assert requests.get(f"{receiver}/received", timeout=10).json()["items"] == []


def test_answer_that_a_shell_told_is_shown(visits: Visits, receiver: str, person: NewPerson) -> None:
    page = visits.signed_in(person("officer"), "#/receiver")
    chosen = page.get_by_label("Answer with").locator("option:checked")
    page.get_by_label("Answer with").wait_for()
    assert chosen.inner_text() == "204, as it should"
    requests.put(f"{receiver}/answer", json={"status": 503, "retryAfter": 9, "delayMs": 1500}, timeout=10)
    page.get_by_text("503, asks for a pause of 9 s, after 1.5 s").wait_for(state="attached")
    assert chosen.inner_text() == "503, asks for a pause of 9 s, after 1.5 s"
    page.get_by_text("From a shell", exact=True).click()
    assert page.get_by_text('{"status":503,"retryAfter":9,"delayMs":1500}').is_visible()


def test_receiver_that_is_gone_is_no_outage_of_the_api(visits: Visits, person: NewPerson) -> None:
    visits.expect(REFUSED)
    page = visits.signed_in(person("officer"))
    page.route("**/received", lambda route: route.abort())
    page.goto(f"{visits.url}#/receiver")
    page.get_by_role("alert").get_by_text("gave no answer in time").wait_for()
    assert page.get_by_text("Holdfast cannot be reached").count() == 0


def test_page_is_absent_without_a_receiver(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("officer"), "#/receiver")
    page.get_by_label("Answer with").wait_for()
    config = {"stage": "local", "version": "1", "console": "000000000000", "receiver": None}
    page.route("**/config.json", lambda route: route.fulfill(json=config))
    page.reload()
    page.get_by_role("heading", name="No such page").wait_for()
    page.get_by_role("link", name="Try it").click()
    page.get_by_role("button", name="Ask and wait", exact=True).wait_for()
    assert page.get_by_role("link", name="see a callback arrive").count() == 0
    page.goto(f"{visits.url}#/ask")
    page.get_by_text("Callback", exact=True).click()
    page.get_by_label("Callback address").wait_for()
    assert page.get_by_role("button", name="Use the built-in receiver").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE, SMALLEST])
def test_received_calls_are_accessible_and_fit(
    visits: Visits, receiver: str, person: NewPerson, size: tuple[int, int], scheme: str
) -> None:
    headers = {"webhook-id": "msg_" + "x" * 60, "webhook-signature": "v1," + "y" * 120}
    event = {"type": "approval." + "z" * 90, "data": {"requestId": "r" * 90}}
    requests.post(f"{receiver}/{'path' * 30}", data=json.dumps(event), headers=headers, timeout=10)
    requests.post(receiver, data=b"<b>no JSON</b>", timeout=10)
    page = visits.signed_in(person("officer"), "#/receiver", size=size, scheme=scheme)
    plain, event_card = one_by_one(page, 2)
    plain.get_by_text("Body", exact=True).click()
    event_card.get_by_text("Body", exact=True).click()
    assert plain.get_by_role("heading", name="Call without a type").is_visible()
    assert plain.get_by_text("<b>no JSON</b>").is_visible()
    assert (violations(page), scrolls_sideways(page)) == ([], False)


def one_by_one(page: Any, count: int) -> list[Any]:
    """Wait for *count* calls on *page*; return their cards, the newest first."""
    cards = page.get_by_role("region", name="Received calls").get_by_role("article")
    cards.nth(count - 1).wait_for(timeout=NEXT_ATTEMPT_MS)
    assert cards.count() == count
    return [cards.nth(number) for number in range(count)]
