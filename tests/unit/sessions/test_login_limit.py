"""A name has ten wrong passwords per window, also in a race; a right password does not count."""

from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import users as users_slice
from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.rates import Rates
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from tests.support.concurrency import race
from tests.support.gateway import Answer, ask

Mongo = Database[dict[str, Any]]

RIGHT, WRONG = "correct horse", "wrong"
WINDOW_SECONDS = 15 * 60


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    rates = Rates(clients.table("coordination"), now=clock)
    monkeypatch.setattr(coordination_wiring, "rates", lambda: rates)
    return clock


@pytest.fixture
def ann(users: UserStore, mongodb: Mongo, clock: Clock) -> None:
    users.add("ann", passwords.hashed(RIGHT), [Role.USER])


def guess(password: str, username: str = "ann") -> Answer:
    return ask("POST", "/api/sessions", {"username": username, "password": password})


@pytest.mark.parametrize("username", ["ann", "nobody"])
def test_an_eleventh_password_is_refused_unchecked_with_429(ann: None, username: str) -> None:
    assert [guess(WRONG, username).status for _ in range(10)] == [401] * 10
    refused, right = guess(WRONG, username), guess(RIGHT, username)
    assert (refused.status, right.status) == (429, 429)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= WINDOW_SECONDS
    assert refused.headers == right.headers


def test_racing_guesses_are_checked_ten_times_at_most(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at, check = [], users_slice.check

    def counted(username: str, password: str) -> Any:
        looked_at.append(password)
        return check(username, password)

    monkeypatch.setattr(users_slice, "check", counted)
    answers = race([partial(guess, f"wrong-{number}") for number in range(50)])
    statuses = sorted(answer.status for answer in answers if isinstance(answer, Answer))
    assert statuses == [401] * 10 + [429] * 40
    assert len(looked_at) == 10


def test_a_right_password_does_not_count_towards_the_limit(ann: None) -> None:
    assert [guess(WRONG).status for _ in range(9)] == [401] * 9
    assert [guess(RIGHT).status for _ in range(20)] == [201] * 20
    assert [guess(WRONG).status, guess(WRONG).status] == [401, 429]


def test_spellings_of_a_name_share_the_limit(ann: None) -> None:
    assert [guess(WRONG, name).status for name in (" ANN", "Ann", "ann ") for _ in range(4)] == [401] * 10 + [429] * 2


def test_a_name_at_its_limit_does_not_block_another(ann: None) -> None:
    for _ in range(11):
        guess(WRONG, "bob")
    assert (guess(WRONG, "bob").status, guess(RIGHT).status) == (429, 201)


def test_retry_after_matches_when_a_token_is_due(ann: None, clock: Clock) -> None:
    for _ in range(10):
        guess(WRONG)
    clock.seconds += int(guess(RIGHT).headers["Retry-After"])
    assert guess(RIGHT).status == 201


def test_the_full_limit_is_back_after_the_window(ann: None, clock: Clock) -> None:
    for _ in range(2):
        assert [guess(WRONG).status for _ in range(11)] == [401] * 10 + [429]
        clock.seconds += WINDOW_SECONDS


def test_a_login_has_a_fixed_number_of_store_round_trips(ann: None, clock: Clock, printed: Any) -> None:
    for password in (RIGHT, WRONG, RIGHT):
        guess(password)
        clock.seconds += 1
    # Token (two writes after an idle time), user, token back, session, user again; a wrong password ends at the user.
    assert [line["storeRoundTrips"] for line in printed.lines()] == [6, 3, 5]
