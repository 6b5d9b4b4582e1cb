"""Credentials on the deployed stack: keys, tickets, cookies; and the login limit."""

from functools import partial

import pytest
import requests

from infra.local.stack import Stack
from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.stack import PASSWORD, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

CURRENT, TICKET = "/api/sessions/current", "/api/sessions/current/ticket"


@pytest.fixture(params=["front", "gateway"])
def url(stack: Stack, request: pytest.FixtureRequest) -> str:
    """The URL of the proxy or the gateway; the gateway's path begins with its stage."""
    return stack.url if request.param == "front" else stack.api_url


def test_a_key_authenticates_until_it_is_deleted(stack: Stack, admin: Client, person: NewPerson) -> None:
    who = person("service")
    path = f"/api/users/{who.username}/keys"
    made = json_of(admin.post(path, {"name": "batch"}), 201)
    service = Client(stack.url, made["key"])
    # Both functions accept the key.
    asked = json_of(service.post("/send-notification", {"username": who.username, "timeoutMs": 1000}))
    assert asked["status"] == "timeout"
    json_of(service.get("/api/pending-responses"))
    problem_of(service.get("/api/users"), 403)
    listed = admin.get(path)
    assert [key["keyId"] for key in json_of(listed)["items"]] == [made["keyId"]]
    assert made["key"] not in listed.text
    assert admin.delete(f"{path}/{made['keyId']}").status_code == 204
    problem_of(service.get("/api/pending-responses"), 401)


def test_a_repeated_creation_of_a_key_is_409(admin: Client, person: NewPerson) -> None:
    path, headers = f"/api/users/{person('service').username}/keys", {"Idempotency-Key": "one"}
    json_of(admin.post(path, {"name": "batch"}, headers=headers), 201)
    problem_of(admin.post(path, {"name": "batch"}, headers=headers), 409)
    problem_of(admin.post(path, {"name": "other"}, headers=headers), 422)
    assert len(json_of(admin.get(path))["items"]) == 1


def test_racing_calls_under_an_idempotency_key_work_once(admin: Client, person: NewPerson) -> None:
    who, headers = person(), {"Idempotency-Key": "at-once"}
    question = {"username": who.username, "wait": False}
    answers = at_once([partial(admin.post, "/send-notification", question, headers=headers)] * 8)
    assert {answer.status_code for answer in answers} <= {202, 409}
    (pending,) = json_of(who.client.get("/api/pending-responses"))["items"]
    again = admin.post("/send-notification", question, headers=headers)
    assert json_of(again, 202)["requestId"] == pending["requestId"]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_ticket_is_issued_to_a_session(stack: Stack, person: NewPerson) -> None:
    who = person()
    ticket = json_of(who.client.post(TICKET, {"path": "/activation/progress/x/events"}), 201)
    assert set(ticket) == {"ticket", "expiresAt"}
    json_of(who.client.post(TICKET), 201)
    problem_of(Client(stack.url).post(TICKET), 401)
    # A route that does not declare tickets refuses the ticket.
    problem_of(Client(stack.url).get(f"{CURRENT}?ticket={ticket['ticket']}"), 401)


def test_a_browsers_cookie_carries_its_session(url: str, person: NewPerson) -> None:
    who, browser = person(), requests.Session()
    own_page = {"Origin": "http://" + url.split("/")[2]}
    login = {"username": who.username, "password": PASSWORD, "cookie": True}
    opened = browser.post(f"{url}/api/sessions", json=login, headers=own_page)
    json_of(opened, 201)
    cookie = opened.headers["Set-Cookie"]
    # The local stage is plain http.
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert "Secure" not in cookie
    assert json_of(browser.get(url + CURRENT))["username"] == who.username
    # The cookie may write from a page of the same origin alone
    json_of(browser.post(url + TICKET, headers=own_page), 201)
    for headers in ({}, {"Origin": "http://evil.example.com"}):
        problem_of(browser.post(url + TICKET, headers=headers), 403)
        problem_of(browser.delete(url + CURRENT, headers=headers), 403)
    # Until the browser signs out
    assert browser.delete(url + CURRENT, headers=own_page).status_code == 204
    assert not browser.cookies
    problem_of(browser.get(url + CURRENT), 401)


def _guessed(anyone: Client, login: dict[str, str]) -> int:
    """Return the status of a guess. A busy machine may refuse guesses with 503 first, which uses up nothing."""

    def answered() -> int | None:
        status = anyone.post("/api/sessions", login).status_code
        return None if status == 503 else status

    return eventually(answered)


def test_racing_guesses_are_checked_ten_times_at_most(stack: Stack, person: NewPerson) -> None:
    who, anyone = person(), Client(stack.url)
    wrong = {"username": who.username, "password": "wrong"}
    statuses = at_once([partial(_guessed, anyone, wrong)] * 50)
    assert sorted(statuses) == [401] * 10 + [429] * 40
    refusal = anyone.post("/api/sessions", {"username": who.username, "password": PASSWORD})
    problem_of(refusal, 429)
    assert 0 < int(refusal.headers["Retry-After"]) <= 900
    # An open session stays valid.
    json_of(who.client.get(CURRENT))
