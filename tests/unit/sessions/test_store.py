import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chalicelib.core.runtime import ids
from chalicelib.core.stores import clients
from chalicelib.core.stores import newest as order
from chalicelib.core.web.roles import Role
from chalicelib.sessions.models import Session
from chalicelib.sessions.settings import SessionSettings
from chalicelib.sessions.store import Opening, SessionStore
from infra.local.processes.mongod import Mongod
from tests.support.concurrency import race
from tests.support.mongodb_commands import SentCommands, explained, recording_commands
from tests.support.waiting import eventually

Mongo = Database[dict[str, Any]]
SETTINGS = SessionSettings(idle_minutes=60, absolute_hours=12, touch_every_seconds=60)


def a_session(sessions: SessionStore, username: str = "ann", epoch: str = "first") -> Opening:
    return sessions.open(username, [Role.USER, Role.OFFICER], epoch)


def stored(mongodb: Mongo, opening: Opening) -> dict[str, Any]:
    found = mongodb.sessions.find_one({"sessionId": opening.session.session_id})
    assert found is not None
    return found


def position(session: Session) -> str:
    return order.position(session.created_at, session.session_id)


def age(mongodb: Mongo, opening: Opening, **time: float) -> None:
    """Shift all times of the session into the past by *time*."""
    found = stored(mongodb, opening)
    named = ("createdAt", "lastSeenAt", "expiresAt", "endsAt", "purgeAt")
    older = {name: found[name] - timedelta(**time) for name in named}
    mongodb.sessions.update_one({"_id": found["_id"]}, {"$set": older})


# --- opening


def test_a_new_session_is_found_by_its_token_and_by_its_id(sessions: SessionStore) -> None:
    opening = a_session(sessions)
    assert sessions.find(opening.token) == opening.session
    assert sessions.get(opening.session.session_id) == opening.session
    assert (opening.session.username, opening.session.roles) == ("ann", [Role.OFFICER, Role.USER])


def test_only_a_hash_of_the_token_is_stored(sessions: SessionStore, mongodb: Mongo) -> None:
    opening = a_session(sessions)
    found = stored(mongodb, opening)
    assert found["_id"] == hmac.digest(clients.signing_key("sessions"), opening.token.encode(), "sha256").hex()
    assert opening.token not in repr(list(mongodb.sessions.find()))
    assert len(opening.token) >= 43


def test_tokens_of_sessions_are_unique(sessions: SessionStore) -> None:
    assert len({a_session(sessions).token for _ in range(20)}) == 20


@pytest.mark.parametrize("name", ["$username", "$$NOW", "a@b.c"])
def test_a_name_like_a_mongodb_expression_is_kept_as_text(sessions: SessionStore, name: str) -> None:
    assert a_session(sessions, name).session.username == name
    assert [session.username for session in sessions.page(name, 5, None)] == [name]


@pytest.mark.parametrize("token", ["", "made up", "$ne", "\x00", "é", "x" * 10_000])
def test_an_unknown_token_finds_no_session(sessions: SessionStore, token: str) -> None:
    a_session(sessions)
    assert sessions.find(token) is None


def test_a_stored_hash_is_no_valid_token(sessions: SessionStore, mongodb: Mongo) -> None:
    opening = a_session(sessions)
    assert sessions.find(stored(mongodb, opening)["_id"]) is None


# --- time


def test_a_session_has_an_idle_and_an_absolute_limit(sessions: SessionStore, mongodb: Mongo) -> None:
    opening = a_session(sessions)
    found = stored(mongodb, opening)
    assert found["expiresAt"] - found["createdAt"] == timedelta(minutes=61)
    assert found["endsAt"] - found["createdAt"] == timedelta(hours=12)
    assert found["purgeAt"] == found["expiresAt"] == opening.session.expires_at


def test_an_expired_session_is_not_found_while_still_stored(sessions: SessionStore, mongodb: Mongo) -> None:
    # Given
    opening = a_session(sessions)
    age(mongodb, opening, minutes=61)
    # Then
    assert sessions.find(opening.token) is None
    assert sessions.get(opening.session.session_id) is None
    assert sessions.page("ann", 5, None) == sessions.page(None, 5, None) == []
    assert not sessions.end(opening.session.session_id)
    assert mongodb.sessions.count_documents({}) == 1


def test_use_extends_the_idle_limit(sessions: SessionStore, mongodb: Mongo) -> None:
    # Given
    opening = a_session(sessions)
    age(mongodb, opening, minutes=59)
    # When
    assert sessions.find(opening.token) is not None
    # Then
    found = stored(mongodb, opening)
    assert found["expiresAt"] - found["lastSeenAt"] == timedelta(minutes=61)
    assert found["purgeAt"] == found["expiresAt"]
    assert abs(found["lastSeenAt"] - datetime.now(UTC)) < timedelta(seconds=30)


def test_use_never_extends_a_session_past_its_absolute_limit(sessions: SessionStore, mongodb: Mongo) -> None:
    # Given a session in constant use
    opening = a_session(sessions)
    age(mongodb, opening, hours=11.5)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    mongodb.sessions.update_one({}, {"$set": {"expiresAt": soon, "purgeAt": soon}})
    # When
    assert sessions.find(opening.token) is not None
    # Then
    found = stored(mongodb, opening)
    assert found["expiresAt"] == found["endsAt"] == found["purgeAt"]
    age(mongodb, opening, minutes=31)
    assert sessions.find(opening.token) is None


def test_the_ttl_index_removes_expired_sessions(sessions: SessionStore, mongodb: Mongo) -> None:
    living, dead = a_session(sessions), a_session(sessions)
    age(mongodb, dead, minutes=61)
    admin = clients.mongodb().client.admin
    admin.command("setParameter", 1, ttlMonitorEnabled=True)
    try:
        eventually(lambda: mongodb.sessions.count_documents({}) == 1)
    finally:
        admin.command("setParameter", 1, ttlMonitorEnabled=False)
    assert sessions.find(living.token) is not None


def _store(mongodb: Mongo) -> SessionStore:
    return SessionStore(mongodb.sessions, SETTINGS, lambda: clients.signing_key("sessions"))


class RecordedStore(NamedTuple):
    """A store and the commands of its client."""

    store: SessionStore
    sent: SentCommands


@pytest.fixture
def recorded(mongod: Mongod, mongodb: Mongo) -> Iterator[RecordedStore]:
    with recording_commands(mongod.uri) as (client, sent):
        yield RecordedStore(_store(client.get_default_database()), sent)


def test_a_session_in_use_is_written_at_most_once_a_minute(recorded: RecordedStore, mongodb: Mongo) -> None:
    # Given
    opening = a_session(recorded.store)
    recorded.sent.commands.clear()
    # When
    for _ in range(5):
        recorded.store.find(opening.token)
    within_the_minute = recorded.sent.names()
    recorded.sent.commands.clear()
    age(mongodb, opening, seconds=61)
    for _ in range(5):
        recorded.store.find(opening.token)
    # Then
    assert within_the_minute == ["find"] * 5
    assert recorded.sent.names() == ["find", "update", "find", "find", "find", "find"]


class BeforeUpdate(CommandListener):
    """Run *first*, another use of the session, right before the client sends an update."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first = first

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "update":
            self._first()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to do."""


def test_two_uses_at_once_write_the_session_once(sessions: SessionStore, mongodb: Mongo, mongod: Mongod) -> None:
    # Given
    opening = a_session(sessions)
    age(mongodb, opening, seconds=61)

    def first() -> None:
        assert sessions.find(opening.token) is not None
        age(mongodb, opening, seconds=5)

    # When
    listener = BeforeUpdate(first)
    with MongoClient[dict[str, Any]](mongod.uri, event_listeners=[listener], tz_aware=True) as client:
        assert _store(client.get_default_database()).find(opening.token) is not None
    # Then the first write stands
    assert datetime.now(UTC) - stored(mongodb, opening)["lastSeenAt"] >= timedelta(seconds=5)


def test_every_query_uses_an_index(recorded: RecordedStore, mongod: Mongod) -> None:
    # Given
    openings = [a_session(recorded.store, f"person-{number % 25}") for number in range(500)]
    session, token = openings[77]
    recorded.sent.commands.clear()
    # When
    recorded.store.find(token)
    recorded.store.get(session.session_id)
    recorded.store.page(session.username, 5, None)
    recorded.store.page(None, 5, position(session))
    recorded.store.page(session.username, 5, position(session))
    recorded.store.end(session.session_id)
    recorded.store.end_all(session.username, "another")
    commands = list(recorded.sent.commands)
    # Then
    with recording_commands(mongod.uri) as (client, _):
        plans = [explained(client, command) for command in commands]
    by_id, by_time, by_user = "sessionId_1", "newest", "newest-of-user"
    expected = [set(), {by_id}, {by_user}, {by_time}, {by_user}, {by_id}, {by_user}]
    assert [plan.indexes - {"_id_"} for plan in plans] == expected
    assert not any({"SORT", "COLLSCAN"} & plan.names for plan in plans)
    assert max(plan.examined for plan in plans) <= 20
    # The query of every request takes the fastest plan.
    assert "IDHACK" in plans[0].names


# --- ending


def test_an_ended_session_is_invalid_at_once(sessions: SessionStore) -> None:
    opening, other = a_session(sessions), a_session(sessions)
    assert sessions.end(opening.session.session_id)
    assert sessions.find(opening.token) is None
    assert not sessions.end(opening.session.session_id)
    assert sessions.find(other.token) is not None


def test_a_touch_does_not_bring_an_ended_session_back(sessions: SessionStore, mongodb: Mongo) -> None:
    for _ in range(20):
        # Given
        opening = a_session(sessions)
        age(mongodb, opening, seconds=61)
        # When
        race([lambda token=opening.token: sessions.find(token)] * 3 + [lambda: bool(sessions.end_all("ann"))])
        # Then
        assert mongodb.sessions.count_documents({}) == 0


def test_end_all_ends_the_sessions_of_its_user_alone(sessions: SessionStore) -> None:
    anns, bob = [a_session(sessions) for _ in range(3)], a_session(sessions, "bob")
    assert sessions.end_all("ann") == 3
    assert [sessions.find(opening.token) for opening in anns] == [None] * 3
    assert sessions.find(bob.token) is not None
    assert sessions.end_all("ann") == 0


def test_end_all_keeps_the_sessions_of_the_given_epoch(sessions: SessionStore) -> None:
    old, new = a_session(sessions, epoch="first"), a_session(sessions, epoch="second")
    assert sessions.end_all("ann", keep_epoch="second") == 1
    assert sessions.find(old.token) is None
    assert sessions.find(new.token) is not None


# --- lists


def test_pages_are_newest_first_and_follow_each_other(sessions: SessionStore) -> None:
    made = [a_session(sessions, name).session for name in ("ann", "bob") * 3]
    newest = made[::-1]
    assert sessions.page(None, 4, None) == newest[:4]
    assert sessions.page(None, 4, position(newest[3])) == newest[4:]
    assert sessions.page("ann", 9, None) == newest[1::2]


def test_a_second_session_of_an_id_is_refused(sessions: SessionStore, mongodb: Mongo) -> None:
    opening = a_session(sessions)
    with pytest.raises(DuplicateKeyError):
        mongodb.sessions.insert_one({"_id": ids.new_id(), "sessionId": opening.session.session_id})
