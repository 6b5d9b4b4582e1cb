"""Sessions are listed by the server's clock, whatever the clock of the process that opened each."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.core.web.roles import Role
from chalicelib.sessions.store import SessionStore
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from tests.support.gateway import ask

Mongo = Database[dict[str, Any]]


@pytest.fixture
def ids_of_wrong_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ids as processes do whose clocks differ by weeks."""
    true, chance = ids.new_id, random.Random(13)
    monkeypatch.setattr(ids, "new_id", lambda: f"{chance.choice('01Z')}{true()[1:]}")


@pytest.mark.usefixtures("ids_of_wrong_clocks")
def test_sessions_of_wrong_clocks_are_listed_newest_first(
    users: UserStore, sessions: SessionStore, mongodb: Mongo
) -> None:
    # Given sessions with ids in no order, and two of the same millisecond
    users.add("root", passwords.hashed("correct horse"), [Role.ADMIN])
    token = ask("POST", "/api/sessions", {"username": "root", "password": "correct horse"}).json["token"]
    opened = [sessions.open(name, [Role.USER], "e").session for name in ("ann", "bob") * 5]
    last = opened[-1].session_id
    mongodb.sessions.update_one({"sessionId": last}, {"$set": {"createdAt": opened[-2].created_at}})
    order = sorted(
        mongodb.sessions.find({"username": {"$ne": "root"}}), key=lambda each: (each["createdAt"], each["sessionId"])
    )
    newest = [each["sessionId"] for each in reversed(order)]
    assert newest != sorted(newest, reverse=True)
    of_bob = [each["sessionId"] for each in reversed(order) if each["username"] == "bob"]
    # Then every page follows the one before, for all and for one user
    narrowed: dict[str, str]
    for narrowed, expected in (({}, newest), ({"username": "bob"}, of_bob)):
        assert list(listed(token, narrowed)) == expected


def listed(token: str, narrowed: dict[str, str]) -> Iterator[str]:
    """Yield the ids of all pages, without the session of root."""
    query = {"limit": "3", **narrowed}
    while True:
        page = ask("GET", "/api/sessions", query=query, token=token).json
        yield from (each["sessionId"] for each in page["items"] if each["username"] != "root")
        if page["nextCursor"] is None:
            return
        query["cursor"] = page["nextCursor"]
