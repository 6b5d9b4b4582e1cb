"""Failed logins are limited by source address too, and a process checks only so many passwords at the same time."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import users as users_slice
from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.rates import Rates
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.sessions import login_limit
from chalicelib.sessions.refusals import Refusals
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from tests.support.gateway import Answer, event, invoke
from tests.unit.conftest import Printed

Mongo = Database[dict[str, Any]]
RIGHT, WRONG = "correct horse", "wrong"
HERE, ELSEWHERE = "203.0.113.9", "203.0.113.10"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(dynamodb: Any, monkeypatch: pytest.MonkeyPatch, options: Callable[..., None]) -> Clock:
    """Four failures for each address, so that a fifth takes 225 seconds."""
    options(LOGIN_FAILURES_PER_ADDRESS="4")
    clock = Clock()
    refusals = Refusals(clock)
    monkeypatch.setattr(login_limit, "_refusals", lambda: refusals)
    rates = Rates(clients.table("coordination"), now=clock)
    monkeypatch.setattr(coordination_wiring, "rates", lambda: rates)
    return clock


@pytest.fixture(autouse=True)
def ann(users: UserStore, mongodb: Mongo, clock: Clock) -> None:
    users.add("ann", passwords.hashed(RIGHT), [Role.USER])


def sign_in(username: str, password: str, source: str = HERE, **headers: str) -> Answer:
    sent = event("health")
    sent |= {"httpMethod": "POST", "path": "/api/sessions", "resource": "/api/sessions"}
    sent |= {"body": f'{{"username": "{username}", "password": "{password}"}}'}
    sent["requestContext"] |= {"httpMethod": "POST", "resourcePath": "/api/sessions"}
    sent["requestContext"]["identity"] = {"sourceIp": source}
    sent["headers"] |= {"Content-Type": "application/json", **headers}
    return invoke(sent)


def fail(times: int, source: str = HERE, **headers: str) -> list[int]:
    """Fail under a fresh name each time."""
    host = source.replace(":", ".")
    return [sign_in(f"name-{host}-{number}", WRONG, source, **headers).status for number in range(times)]


def test_fresh_names_from_one_address_are_refused_after_so_many() -> None:
    assert fail(6) == [401] * 4 + [429] * 2
    refused = sign_in("ann", RIGHT)
    assert (refused.status, refused.json["detail"]) == (429, "Too many attempts to sign in from this address.")
    assert 0 < int(refused.headers["Retry-After"]) <= 225
    assert sign_in("ann", RIGHT, ELSEWHERE).status == 201


def test_refused_address_may_try_again_when_told(clock: Clock) -> None:
    fail(5)
    clock.seconds += int(sign_in("ann", RIGHT).headers["Retry-After"])
    assert sign_in("ann", RIGHT).status == 201


def test_refused_address_has_no_password_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    fail(4)
    checked: list[str] = []
    monkeypatch.setattr(users_slice, "check", lambda name, _: checked.append(name))
    assert fail(3) == [429] * 3
    assert checked == []


def test_refused_address_costs_the_stores_nothing_until_a_token_is_due(clock: Clock, printed: Printed) -> None:
    assert fail(7) == [401] * 4 + [429] * 3
    assert [line["storeRoundTrips"] for line in printed.lines()][-3:] == [1, 0, 0]
    clock.seconds += 225
    assert fail(2) == [401, 429]


def test_successes_use_up_nothing_of_the_address() -> None:
    assert fail(3) == [401] * 3
    assert [sign_in("ann", RIGHT).status for _ in range(10)] == [201] * 10
    assert fail(2) == [401, 429]


def test_attempts_on_a_refused_name_use_up_nothing_of_the_address(options: Callable[..., None]) -> None:
    options(LOGIN_FAILURES_PER_ADDRESS="12")
    assert [sign_in("bob", WRONG).status for _ in range(20)] == [401] * 10 + [429] * 10
    assert sign_in("ann", RIGHT).status == 201
    assert fail(3) == [401, 401, 429]


def test_addresses_of_one_ipv6_64_share_a_budget() -> None:
    assert [fail(1, f"2001:db8:1:2::{number}") for number in range(1, 6)] == [[401]] * 4 + [[429]]
    assert fail(1, "2001:db8:1:3::1") == [401]
    assert fail(1, "::ffff:203.0.113.77") + fail(4, "203.0.113.77") == [401] * 4 + [429]


def test_header_of_an_untrusted_peer_changes_no_budget() -> None:
    statuses = [fail(1, **{"X-Forwarded-For": f"198.51.100.{number}"})[0] for number in range(5)]
    assert statuses == [401] * 4 + [429]


def test_callers_behind_a_trusted_proxy_have_budgets_of_their_own(options: Callable[..., None]) -> None:
    options(HTTP_TRUSTED_PROXIES=f'["{HERE}/32"]')
    assert fail(5, **{"X-Forwarded-For": "6.6.6.6, 198.51.100.1"}) == [401] * 4 + [429]
    assert fail(1, **{"X-Forwarded-For": "198.51.100.1, 198.51.100.2"}) == [401]


def test_check_beyond_the_processs_bound_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    # Given two passwords that are being checked
    inside, let_go, check = threading.Semaphore(0), threading.Event(), users_slice.check

    def slow(username: str, password: str) -> Any:
        inside.release()
        assert let_go.wait(10)
        return check(username, password)

    monkeypatch.setattr(users_slice, "check", slow)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(sign_in("ann", RIGHT).status)) for _ in range(2)]
    for thread in threads:
        thread.start()
        inside.acquire(timeout=10)
    # When another one signs in
    refused = [sign_in("ann", RIGHT) for _ in range(6)][-1]
    # Then it is told to come back, without a call to a store, and has used up nothing
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert [line["storeRoundTrips"] for line in printed.lines()] == [0] * 6
    let_go.set()
    for thread in threads:
        thread.join()
    assert answers == [201, 201]
    assert fail(5) == [401] * 4 + [429]
