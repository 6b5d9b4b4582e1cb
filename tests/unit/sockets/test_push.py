"""Pushes: who gets an event, and what ends a connection."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sockets
from chalicelib.core.errors import Forbidden
from chalicelib.core.web import frames
from chalicelib.core.web.frames import Connection, Topic
from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.sockets.store import ConnectionStore
from chalicelib.users import wiring as users_wiring
from tests.support.gateway import ask
from tests.support.management import Management
from tests.support.users import signed_in
from tests.unit.sockets.conftest import connect, say

Mongo = Database[dict[str, Any]]
NEWS = {"event": "news"}


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Topics ``open`` and ``closed:<id>``; the value of ``open`` is a counter that the test may change."""
    state = {"value": 1}

    def refuse(_connection: Connection, _name: str) -> None:
        raise Forbidden

    known = [
        Topic("open", lambda _connection, _name: None, lambda _connection, _name: dict(state)),
        Topic("closed:", refuse, lambda _connection, _name: {}),
    ]
    monkeypatch.setattr(frames, "_topics", known)
    return state


def account(username: str) -> str:
    found = users_wiring.store().find(username)
    assert found
    return found.account_id


def subscribe(connection_id: str) -> None:
    say(connection_id, {"action": "subscribe", "topics": ["open"]})


def aged(mongodb: Mongo, connection_id: str, seconds: int) -> None:
    """Make the connection older by *seconds*, by the server's clock."""
    earlier: dict[str, Any] = {
        name: {"$subtract": [f"${name}", seconds * 1000]} for name in ("since", "activeAt", "expiresAt")
    }
    announced = {"$eq": [{"$type": "$announceAt"}, "missing"]}
    earlier["announceAt"] = {"$cond": [announced, "$$REMOVE", {"$subtract": ["$announceAt", seconds * 1000]}]}
    mongodb.connections.update_one({"_id": connection_id}, [{"$set": earlier}])


def test_push_reaches_only_connections_that_subscribed(
    connections: ConnectionStore, management: Management, topics: Any
) -> None:
    token = signed_in("ann")
    connect("silent", token)
    connect("follows", token)
    connect("stranger", signed_in("bob"))
    subscribe("follows")
    subscribe("stranger")
    assert sockets.push(account("ann"), NEWS) == 1
    assert management.sent_to("follows") == [
        {"event": "subscribed", "snapshots": [{"topic": "open", "value": 1}]},
        NEWS,
    ]
    assert not management.sent_to("silent")
    assert NEWS not in management.sent_to("stranger")


def test_joined_connection_gets_pushes(connections: ConnectionStore, management: Management) -> None:
    connect("c1", signed_in("ann"))
    assert sockets.push(account("ann"), NEWS) == 0
    (held,) = connections.all()
    sockets.join(Connection(held.connection_id, held.caller))
    assert sockets.push(account("ann"), NEWS) == 1


def test_refused_topic_leaves_the_connection_without_pushes(
    connections: ConnectionStore, management: Management, topics: Any
) -> None:
    connect("c1", signed_in("ann"))
    say("c1", {"action": "subscribe", "topics": ["open", "closed:1"], "id": "7"})
    (answer,) = management.sent_to("c1")
    assert (answer["event"], answer["code"], answer["id"]) == ("error", "forbidden", "7")
    assert sockets.push(account("ann"), NEWS) == 0


def test_topic_that_changes_during_subscription_is_sent_again(
    connections: ConnectionStore, management: Management, topics: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = ConnectionStore.open

    def changing(store: ConnectionStore, *arguments: Any) -> None:
        topics["value"] = 2
        opened(store, *arguments)

    monkeypatch.setattr(ConnectionStore, "open", changing)
    connect("c1", signed_in("ann"))
    subscribe("c1")
    assert [event["snapshots"][0]["value"] for event in management.sent_to("c1")] == [1, 2]


def test_gone_connection_is_forgotten_but_not_in_its_first_second(
    connections: ConnectionStore, management: Management, mongodb: Mongo, topics: Any
) -> None:
    connect("c1", signed_in("ann"))
    subscribe("c1")
    management.answers["c1"] = 410
    assert sockets.push(account("ann"), NEWS) == 0
    assert len(connections.all()) == 1
    aged(mongodb, "c1", 2)
    assert sockets.push(account("ann"), NEWS) == 0
    assert not connections.all()


@pytest.mark.parametrize("status", [403, 429])
def test_push_counts_the_connections_that_took_the_event(
    connections: ConnectionStore, management: Management, topics: Any, status: int
) -> None:
    token = signed_in("ann")
    for name in ("c1", "c2", "c3"):
        connect(name, token)
        subscribe(name)
    management.answers["c2"] = status
    assert sockets.push(account("ann"), NEWS) == 2
    assert len(connections.all()) == 3


def test_push_without_a_gateway_reaches_nobody(connections: ConnectionStore, options: Callable[..., None]) -> None:
    options()
    assert sockets.push("account", NEWS) == 0


def test_push_skips_connections_whose_session_has_ended(
    connections: ConnectionStore, management: Management, topics: Any
) -> None:
    connect("c1", signed_in("ann"))
    subscribe("c1")
    sessions_wiring.store().end_all("ann")
    assert sockets.push(account("ann"), NEWS) == 0


def test_frame_of_an_ended_session_closes_the_connection(connections: ConnectionStore, management: Management) -> None:
    connect("c1", signed_in("ann"))
    sessions_wiring.store().end_all("ann")
    say("c1", {"action": "ping"})
    assert (management.sent, management.closed) == ([], ["c1"])
    assert not connections.all()


@pytest.mark.parametrize("frame", ["$connect", "$disconnect", "ping"])
def test_frame_of_an_unknown_connection_closes_the_connection(
    connections: ConnectionStore, management: Management, frame: str
) -> None:
    say("nobody", {"action": frame})
    assert management.closed == ["nobody"]


def test_sign_out_closes_the_connections_of_that_session_alone(
    connections: ConnectionStore, management: Management
) -> None:
    first = signed_in("ann")
    user = users_wiring.store().find("ann")
    assert user
    second = sessions_wiring.store().open("ann", user.roles, user.epoch, user.account_id).token
    connect("c1", first)
    connect("c2", second)
    assert ask("DELETE", "/api/sessions/current", token=first).status == 204
    assert management.closed == ["c1"]


@pytest.mark.parametrize("change", [{"roles": ["officer"]}, {"password": "another good password"}, None])
def test_changed_or_deleted_user_loses_the_connections(
    connections: ConnectionStore, management: Management, change: dict[str, Any] | None
) -> None:
    admin, token = signed_in("root", Role.ADMIN), signed_in("ann")
    connect("c1", token)
    method, status = ("PATCH", 200) if change else ("DELETE", 204)
    assert ask(method, "/api/users/ann", change, token=admin).status == status
    assert management.closed == ["c1"]
    assert not connections.all()


def test_sign_out_succeeds_while_the_gateway_refuses(connections: ConnectionStore, management: Management) -> None:
    token = signed_in("ann")
    connect("c1", token)
    management.answers["c1"] = 429
    assert ask("DELETE", "/api/sessions/current", token=token).status == 204
    assert not connections.all()
