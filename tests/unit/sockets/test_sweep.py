"""The sweep of connections: reconnects announced once, idle connections pinged, ended connections closed."""

from datetime import timedelta
from typing import Any

from pymongo.database import Database

from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.sockets import worker
from chalicelib.sockets.store import ConnectionStore
from tests.support.management import Management
from tests.support.users import signed_in
from tests.unit.sockets.conftest import connect
from tests.unit.sockets.test_push import aged

Mongo = Database[dict[str, Any]]
RECONNECT = {"event": "reconnect", "withinSeconds": 600}


def test_reconnect_is_announced_once_ten_minutes_before_the_end(
    connections: ConnectionStore, management: Management, mongodb: Mongo
) -> None:
    connect("c1", signed_in("ann"))
    connections.open("c1", ())
    (stored,) = mongodb.connections.find()
    assert worker.next_due() == stored["expiresAt"] - timedelta(minutes=10)
    aged(mongodb, "c1", 109 * 60)
    mongodb.connections.update_one({"_id": "c1"}, [{"$set": {"activeAt": "$$NOW"}}])
    worker.sweep()
    assert management.sent_to("c1") == []
    aged(mongodb, "c1", 61)
    for _ in range(2):
        worker.sweep()
    assert management.sent_to("c1") == [RECONNECT]
    assert worker.next_due() is None


def test_idle_connection_is_pinged_before_ten_minutes(
    connections: ConnectionStore, management: Management, mongodb: Mongo
) -> None:
    connect("c1", signed_in("ann"))
    connections.open("c1", ())
    aged(mongodb, "c1", 7 * 60)
    worker.sweep()
    assert management.sent_to("c1") == []
    aged(mongodb, "c1", 61)
    for _ in range(2):
        worker.sweep()
    assert management.sent_to("c1") == [{"event": "ping"}]


def test_connection_past_two_hours_is_closed(
    connections: ConnectionStore, management: Management, mongodb: Mongo
) -> None:
    connect("c1", signed_in("ann"))
    aged(mongodb, "c1", 7_201)
    worker.sweep()
    assert management.closed == ["c1"]
    assert mongodb.connections.count_documents({}) == 0


def test_idle_connection_that_never_subscribed_is_closed(
    connections: ConnectionStore, management: Management, mongodb: Mongo
) -> None:
    connect("c1", signed_in("ann"))
    aged(mongodb, "c1", 601)
    worker.sweep()
    assert (management.sent, management.closed) == ([], ["c1"])


def test_sweep_closes_connections_of_ended_sessions(connections: ConnectionStore, management: Management) -> None:
    connect("c1", signed_in("ann"))
    connect("c2", signed_in("bob"))
    sessions_wiring.store().end_all("ann")
    worker.sweep()
    assert management.closed == ["c1"]
