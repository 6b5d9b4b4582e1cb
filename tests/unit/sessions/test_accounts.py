"""The caller of a session or of an API key is the account that signed in, or that the key was made for."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sessions as public
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import id_of_name
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.sessions.models import NewTicket
from chalicelib.sessions.store import SessionStore
from chalicelib.sessions.wiring import tickets
from chalicelib.users import keys, passwords
from chalicelib.users.models import Key
from chalicelib.users.store import UserStore
from tests.support.gateway import ask

Mongo = Database[dict[str, Any]]


def test_a_session_is_of_the_account_that_signed_in(users: UserStore, mongodb: Mongo) -> None:
    user = users.add("ann", passwords.hashed("correct horse"), [Role.USER])
    opened = ask("POST", "/api/sessions", {"username": "ann", "password": "correct horse"})
    assert public.identify(opened.json["token"]).account == ("ann", user.account_id)
    assert "accountId" not in opened.json
    shown = ask("GET", "/api/sessions/current", token=opened.json["token"])
    assert (shown.status, "accountId" in shown.json) == (200, False)


def test_a_ticket_is_of_the_account_of_its_session(sessions: SessionStore, mongodb: Mongo) -> None:
    account_id = ids.new_id()
    opened = sessions.open("ann", [Role.USER], "e", account_id)
    issued = tickets().issue(opened.session.session_id, NewTicket())
    assert public.redeem(issued.ticket, "/anywhere").account_id == account_id


def test_a_session_of_an_earlier_version_is_of_the_account_of_the_name(sessions: SessionStore, mongodb: Mongo) -> None:
    token = sessions.open("ann", [Role.USER], "e").token
    mongodb.sessions.update_many({}, {"$unset": {"accountId": ""}})
    assert public.identify(token).account == ("ann", id_of_name("ann"))


@pytest.mark.usefixtures("mongodb")
def test_an_api_key_is_of_the_account_of_its_user(users: UserStore) -> None:
    # Given a user of this version, and one of an earlier version
    accounts = {}
    for name in ("batch", "older"):
        accounts[name] = users.add(name, "a hash", [Role.SERVICE]).account_id
    clients.table("users").change("user#older", "REMOVE accountId", when="", values={})
    accounts["older"] = id_of_name("older")
    for name, account_id in accounts.items():
        key_id = ids.new_id()
        token = keys.new_key(name, key_id)
        now = datetime.now(UTC).isoformat()
        users.add_key(name, Key(key_id, "k", keys.digest(token), now, "root", None), again=False)
        # Then
        assert public.identify(token).account == (name, account_id)
    assert users.accounts(list(accounts)) == accounts
