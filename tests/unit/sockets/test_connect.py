"""Who may connect: tokens, tickets, keys, and limits."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sockets
from chalicelib.core.web.roles import Role
from chalicelib.sockets import wiring
from chalicelib.sockets.store import ConnectionStore
from tests.support.concurrency import race
from tests.support.gateway import Context, ask
from tests.support.management import Management
from tests.support.users import signed_in
from tests.unit.sockets.conftest import connect, event, say

Mongo = Database[dict[str, Any]]


def refused(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["statusCode"], json.loads(answer["body"])["code"]


def test_connect_handler_itself_answers_the_subprotocol(connections: ConnectionStore) -> None:
    answer = connect("c1", signed_in("ann"))
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "holdfast"}}


def test_subprotocol_that_was_not_offered_is_not_answered(connections: ConnectionStore) -> None:
    headers = {"sec-websocket-protocol": f"token.{signed_in('ann')}"}
    assert sockets.serve(event("CONNECT", "c1", headers=headers), Context()) == {"statusCode": 200, "headers": {}}


def test_stored_connection_names_account_session_and_times(connections: ConnectionStore, mongodb: Mongo) -> None:
    connect("c1", signed_in("ann"))
    (stored,) = mongodb.connections.find()
    (session,) = mongodb.sessions.find()
    assert (stored["_id"], stored["account"], stored["sessionId"]) == ("c1", session["accountId"], session["sessionId"])
    assert stored["epoch"] == session["epoch"]
    assert (stored["expiresAt"] - stored["since"]).total_seconds() == 7_200
    assert stored["purgeAt"] >= stored["expiresAt"]
    assert stored["instance"]


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-WebSocket-Protocol": "holdfast"}, {"sec-websocket-protocol": "token.no"}]
)
def test_connection_without_valid_token_is_refused(connections: ConnectionStore, headers: dict[str, str]) -> None:
    answer = sockets.serve(event("CONNECT", "c1", headers=headers), Context())
    assert refused(answer) == (401, "unauthenticated")
    assert not connections.all()


def test_ticket_opens_one_connection(connections: ConnectionStore) -> None:
    ticket = ask("POST", "/api/sessions/current/ticket", {"path": "/ws"}, token=signed_in("ann")).json["ticket"]
    query = {"queryStringParameters": {"ticket": ticket}, "headers": {}}
    assert sockets.serve(event("CONNECT", "c1", **query), Context())["statusCode"] == 200
    assert refused(sockets.serve(event("CONNECT", "c2", **query), Context())) == (401, "unauthenticated")


def test_service_connects_with_its_key_until_the_key_is_removed(
    connections: ConnectionStore, management: Management
) -> None:
    admin = signed_in("root", Role.ADMIN)
    signed_in("bot", Role.SERVICE)
    made = ask("POST", "/api/users/bot/keys", {"name": "socket"}, token=admin).json
    assert connect("c1", made["key"])["statusCode"] == 200
    say("c1", {"action": "ping"})
    assert ask("DELETE", f"/api/users/bot/keys/{made['keyId']}", token=admin).status == 204
    say("c1", {"action": "ping"})
    assert (management.sent, management.closed) == ([("c1", {"event": "pong"})], ["c1"])


def test_connection_over_the_limit_of_the_account_is_refused(
    connections: ConnectionStore, options: Callable[..., None]
) -> None:
    options(SOCKETS_PER_ACCOUNT="2")
    wiring.store.cache_clear()
    token = signed_in("ann")
    assert [connect(f"c{number}", token)["statusCode"] for number in range(3)] == [200, 200, 429]
    assert connect("other", signed_in("bob"))["statusCode"] == 200


def test_simultaneous_connections_never_exceed_the_limit_in_all(
    connections: ConnectionStore, options: Callable[..., None]
) -> None:
    options(SOCKETS_IN_ALL="3")
    wiring.store.cache_clear()
    token = signed_in("ann")
    answers = race([partial(connect, f"c{number}", token) for number in range(8)])
    admitted = [answer for answer in answers if isinstance(answer, dict) and answer["statusCode"] == 200]
    assert len(admitted) == len(wiring.store().all()) <= 3


def test_ended_connection_is_forgotten(connections: ConnectionStore) -> None:
    connect("c1", signed_in("ann"))
    sockets.serve(event("DISCONNECT", "c1"), Context())
    assert not connections.all()
