"""Links that set a password: valid once, for one account, for a time; ended by every change of the password."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import users as users_slice
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords, wiring
from chalicelib.users.errors import LinkInvalid
from chalicelib.users.index import key
from chalicelib.users.links import PasswordLinks
from chalicelib.users.models import User
from chalicelib.users.store import Revocation, UserStore
from tests.support.concurrency import race
from tests.support.gateway import ask
from tests.support.users import signed_in

Mongo = Database[dict[str, Any]]
NAME = "o'brien@example.org"
PASSWORD = "correct horse battery"


@pytest.fixture
def links(users: UserStore) -> PasswordLinks:
    return wiring.links()


def made(users: UserStore, name: str = NAME) -> User:
    """Make a user without a password."""
    return users.add(name, "", [Role.USER])


def issued(links: PasswordLinks, user: User) -> str:
    token = links.issue(user.username, user.account_id)
    assert token
    return token


def test_a_link_sets_the_password_once(users: UserStore, mongodb: Mongo, links: PasswordLinks) -> None:
    token = issued(links, made(users))
    body = {"token": token, "password": PASSWORD}
    assert ask("POST", "/api/password", body).status == 204
    assert users_slice.check(NAME, PASSWORD)
    again = ask("POST", "/api/password", body | {"password": "another password"})
    assert (again.status, again.json["code"]) == (410, "link-invalid")
    assert users_slice.check(NAME, PASSWORD)


def test_of_racing_uses_of_a_link_one_succeeds(users: UserStore, links: PasswordLinks) -> None:
    token = issued(links, made(users))
    results = race([partial(links.use, token, f"hash {number}") for number in range(8)])
    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, LinkInvalid) for result in results) == 7


def test_a_used_link_ends_the_users_sessions(users: UserStore, mongodb: Mongo, links: PasswordLinks) -> None:
    session = signed_in("ann", Role.USER)
    user = users.find("ann")
    assert user
    answer = ask("POST", "/api/password", {"token": issued(links, user), "password": PASSWORD})
    assert answer.status == 204
    assert ask("GET", "/api/sessions/current", token=session).status == 401
    assert users.pending_revocations() == []


def test_a_use_whose_process_died_leaves_a_revocation(users: UserStore, links: PasswordLinks) -> None:
    changed = links.use(issued(links, made(users)), "a hash")
    assert users.pending_revocations() == [Revocation(NAME, changed.epoch, gone=False)]


def test_a_link_ends_after_its_hours(users: UserStore) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    user, table = made(users), clients.table("users")
    token = issued(PasswordLinks(table, 72, now=lambda: now), user)
    assert PasswordLinks(table, 72, now=lambda: now + 72 * 3600 - 1).find(token).username == NAME
    late = PasswordLinks(table, 72, now=lambda: now + 72 * 3600 + 1)
    with pytest.raises(LinkInvalid):
        late.find(token)
    with pytest.raises(LinkInvalid):
        late.use(token, "a hash")


def test_a_newer_link_replaces_the_link_before(users: UserStore, links: PasswordLinks) -> None:
    user = made(users)
    first, second = issued(links, user), issued(links, user)
    with pytest.raises(LinkInvalid):
        links.find(first)
    assert links.find(second) == user


def test_a_password_changed_by_an_administrator_ends_the_link(users: UserStore, links: PasswordLinks) -> None:
    token = issued(links, made(users))
    users.change(NAME, password_hash=None, roles=[Role.OFFICER])
    assert links.find(token)
    users.change(NAME, password_hash="a hash", roles=None)
    with pytest.raises(LinkInvalid):
        links.use(token, "another hash")


def test_an_account_made_anew_takes_no_link_of_the_former(users: UserStore, links: PasswordLinks) -> None:
    former = made(users)
    token = issued(links, former)
    users.complete_revocation(Revocation(NAME, users.remove(NAME).epoch, gone=True))
    made(users)
    assert links.issue(NAME, former.account_id) is None
    with pytest.raises(LinkInvalid):
        links.find(token)


@pytest.mark.parametrize("token", ["", "x", "hfp_", "hfp_YW5u.short", "hfp_!!.x", "hfp_" + "A" * 40 + "." + "B" * 43])
def test_an_unknown_token_is_refused(links: PasswordLinks, token: str) -> None:
    with pytest.raises(LinkInvalid):
        links.find(token)


def test_a_token_is_stored_as_a_hash_alone(users: UserStore, links: PasswordLinks) -> None:
    token = issued(links, made(users))
    stored = json.dumps(clients.table("users").get(key(NAME)), default=str)
    assert token.rpartition(".")[2] not in stored


def test_no_log_record_has_the_token(users: UserStore, mongodb: Mongo, links: PasswordLinks, printed: Any) -> None:
    token = issued(links, made(users))
    for body in ({"token": token, "password": "short"}, {"token": token, "password": PASSWORD, "more": 1}):
        answer = ask("POST", "/api/password", body)
        assert answer.status == 422
        assert token not in json.dumps(answer.json)
    ask("POST", "/api/password", {"token": token, "password": PASSWORD})
    assert token.rpartition(".")[2] not in printed.getvalue()


def test_invalid_links_are_limited_by_source_address(users: UserStore, mongodb: Mongo, options: Any) -> None:
    options(PASSWORD_LINKS_FAILURES_PER_ADDRESS="3")
    body = {"token": "hfp_YW5u." + "A" * 43, "password": PASSWORD}
    answers = [ask("POST", "/api/password", body).status for _ in range(4)]
    assert answers == [410, 410, 410, 429]


def test_valid_links_of_an_office_are_not_limited(
    users: UserStore, mongodb: Mongo, links: PasswordLinks, options: Any
) -> None:
    options(PASSWORD_LINKS_FAILURES_PER_ADDRESS="2")
    for number in range(4):
        token = issued(links, made(users, f"user-{number}"))
        assert ask("POST", "/api/password", {"token": token, "password": PASSWORD}).status == 204


def test_an_invalid_link_costs_no_hash(users: UserStore, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "hashed", hashed.append)
    body = {"token": "hfp_YW5u." + "A" * 43, "password": PASSWORD}
    assert ask("POST", "/api/password", body).status == 410
    assert hashed == []


@pytest.mark.parametrize("password", ["", "x", PASSWORD])
def test_no_password_matches_a_user_without_one(users: UserStore, password: str) -> None:
    made(users)
    assert users_slice.check(NAME, password) is None
    assert not passwords.matches("an unused password", "")
