"""Tickets: short-lived and single-use, in the place of a session where a client cannot set a header."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sessions as slice_
from chalicelib import slices
from chalicelib.core.web.application import App
from chalicelib.core.web.models import Query
from chalicelib.core.web.roles import Role
from chalicelib.core.web.routes import Call, Routes
from chalicelib.users.store import UserStore
from tests.support.concurrency import race
from tests.support.gateway import Answer, ask
from tests.support.users import signed_in

Mongo = Database[dict[str, Any]]

ISSUE = "/api/sessions/current/ticket"
EVENTS = "/things/a b/events"


class Since(Query):
    """A query parameter beside the ticket."""

    since: int = 0


@pytest.fixture(scope="module")
def watching() -> App:
    """An application with routes that take tickets; the deployed application has no such route yet."""
    routes = Routes("watching")

    @routes.add("GET", "/things/{thing}/events", params={"thing": str}, query=Since, answers={200: dict}, tickets=True)
    def watch(call: Call[None, Since], thing: str) -> str:
        return f'{{"who": "{call.caller.username}", "since": {call.query.since}}}'

    @routes.add("GET", "/socket", answers={200: dict}, tickets=True)
    def connect(call: Call[None, None]) -> str:
        return f'{{"who": "{call.caller.username}"}}'

    @routes.add("GET", "/closed", answers={200: dict})
    def closed(call: Call[None, None]) -> str:
        return "{}"

    app = App("watching", identify=slice_.identify, redeem=slice_.redeem)
    app.mount(routes)
    return app


@pytest.fixture
def token(dynamodb: Any, mongodb: Mongo) -> str:
    return signed_in("ann")


def issued(token: str, path: str | None = None) -> str:
    return str(ask("POST", ISSUE, {"path": path} if path else {}, token=token).json["ticket"])


def use_ticket(app: App, path: str, ticket: str, **query: str) -> Answer:
    return ask("GET", path, query={"ticket": ticket, **query}, at=app)


def expire(mongodb: Mongo, field: str) -> None:
    mongodb.tickets.update_one({}, {"$set": {field: datetime.now(UTC) - timedelta(seconds=1)}})


def test_a_ticket_is_valid_for_thirty_seconds(token: str) -> None:
    # Without a path in the body, a ticket serves on every path.
    for answer in (ask("POST", ISSUE, {}, token=token), ask("POST", ISSUE, token=token)):
        assert answer.status == 201
        assert set(answer.json) == {"ticket", "expiresAt"}
        left = datetime.fromisoformat(answer.json["expiresAt"]) - datetime.now(UTC)
        assert timedelta(seconds=25) < left <= timedelta(seconds=31)


def test_a_ticket_is_accepted_once(watching: App, token: str) -> None:
    ticket = issued(token)
    first, second = (use_ticket(watching, "/socket", ticket) for _ in range(2))
    assert (first.status, first.json) == (200, {"who": "ann"})
    assert second.status == 401


def test_racing_uses_of_a_ticket_have_one_winner(watching: App, token: str) -> None:
    ticket = issued(token)
    answers = race([partial(use_ticket, watching, "/socket", ticket)] * 32)
    assert sorted(answer.status for answer in answers if isinstance(answer, Answer)) == [200] + [401] * 31


def test_an_expired_ticket_is_refused_while_still_stored(watching: App, token: str, mongodb: Mongo) -> None:
    for path, given in (("/socket", None), (EVENTS, EVENTS)):
        ticket = issued(token, given)
        expire(mongodb, "firstUseBy")
        assert use_ticket(watching, path, ticket).status == 401
        mongodb.tickets.delete_many({})


def test_a_ticket_for_one_path_is_refused_elsewhere_and_kept(watching: App, token: str) -> None:
    ticket = issued(token, "/socket")
    assert use_ticket(watching, EVENTS, ticket).status == 401
    assert [use_ticket(watching, "/socket", ticket).status for _ in range(2)] == [200, 401]


def test_a_ticket_for_events_serves_reconnects_for_an_hour(watching: App, token: str, mongodb: Mongo) -> None:
    # Given
    ticket = issued(token, EVENTS)
    # When the ticket was used within thirty seconds, and these are over
    assert use_ticket(watching, EVENTS, ticket, since="4").json == {"who": "ann", "since": 4}
    expire(mongodb, "firstUseBy")
    # Then
    assert [use_ticket(watching, EVENTS, ticket).status for _ in range(3)] == [200] * 3
    assert use_ticket(watching, "/things/other/events", ticket).status == 401
    # Until the hour is over
    (stored,) = mongodb.tickets.find()
    left = stored["purgeAt"] - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    expire(mongodb, "purgeAt")
    assert use_ticket(watching, EVENTS, ticket).status == 401


def test_a_ticket_ends_with_its_session(watching: App, token: str) -> None:
    ticket, events = issued(token), issued(token, EVENTS)
    assert use_ticket(watching, EVENTS, events).status == 200
    ask("DELETE", "/api/sessions/current", token=token)
    assert (use_ticket(watching, "/socket", ticket).status, use_ticket(watching, EVENTS, events).status) == (401, 401)


def test_only_a_hash_of_a_ticket_is_stored(watching: App, token: str, mongodb: Mongo) -> None:
    ticket = issued(token)
    (stored,) = mongodb.tickets.find()
    assert ticket not in repr(stored)
    assert use_ticket(watching, "/socket", stored["_id"]).status == 401


@pytest.mark.parametrize("path", ["/closed", "/socket"])
def test_a_ticket_is_refused_by_routes_without_tickets(watching: App, token: str, path: str) -> None:
    assert use_ticket(watching, path, issued(token)).status == (200 if path == "/socket" else 401)


def test_a_token_in_a_header_leaves_the_ticket_unused(watching: App, token: str) -> None:
    ticket = issued(token)
    assert ask("GET", "/socket", token=token, query={"ticket": ticket}, at=watching).status == 200
    assert use_ticket(watching, "/socket", ticket).status == 200


@pytest.mark.parametrize("ticket", ["", "x", "ä" * 5000])
def test_a_malformed_ticket_is_refused(watching: App, token: str, ticket: str) -> None:
    assert use_ticket(watching, "/socket", ticket).status == 401


def test_a_route_of_a_changing_method_cannot_take_tickets() -> None:
    with pytest.raises(ValueError, match="ticket"):
        Routes("wrong").add("POST", "/wrong", tickets=True)


@pytest.mark.parametrize("path", ["", "events", "/" + "x" * 1024, 7])
def test_a_malformed_path_gets_no_ticket(token: str, path: object) -> None:
    assert ask("POST", ISSUE, {"path": path}, token=token).status == 422


def test_a_ticket_is_shown_once(token: str) -> None:
    key = {"Idempotency-Key": "one"}
    assert [ask("POST", ISSUE, {}, token=token, headers=key).status for _ in range(2)] == [201, 409]


def test_an_api_key_gets_no_ticket(users: UserStore, mongodb: Mongo) -> None:
    admin = signed_in("root", Role.ADMIN)
    signed_in("batch", Role.SERVICE)
    key = ask("POST", "/api/users/batch/keys", {"name": "k"}, token=admin).json["key"]
    assert ask("POST", ISSUE, {}, token=key).status == 404


def test_tickets_have_a_ttl_index() -> None:
    (index,) = slices.indexes()["tickets"]
    assert (index.document["key"], index.document["expireAfterSeconds"]) == ({"purgeAt": 1}, 0)
