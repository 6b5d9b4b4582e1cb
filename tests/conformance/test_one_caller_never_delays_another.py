"""One caller never delays another: pushes, escalations and callbacks stay within 2 s of their quiet times, whatever the
addresses of others do.

Shown with a hostile neighbour: a hundred callbacks of one caller go to addresses that hang, drip or reset.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest
from pymongo.database import Database

from tests.conformance.conftest import Figure
from tests.support.approvals import request_path
from tests.support.client import Client, Person, json_of
from tests.support.hostile_servers import Peer
from tests.support.receiver import Receiver, receiving
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

Mongo = Database[dict[str, Any]]

_HOSTILE_CALLBACKS = 100
_ROUNDS = 5
_ALLOWED_SECONDS = 2


def _hang(connection: socket.socket, _request: bytes) -> None:
    connection.recv(1)


def _drip(connection: socket.socket, _request: bytes) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000:
        connection.sendall(bytes([byte]))
        # The server's own pace, not a wait for a condition.
        sleep(0.5)


def _reset(connection: socket.socket, _request: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class _People(NamedTuple):
    caller: Person
    asked: Person
    boss: Person


@pytest.fixture
def hostile() -> Iterator[list[Peer]]:
    """Servers that accept and never answer, that answer a byte at a time, and that reset."""
    with ExitStack() as servers:
        yield [servers.enter_context(Peer(behaviour)) for behaviour in (_hang, _drip, _reset)]


def test_hanging_callbacks_delay_no_push_escalation_or_callback_of_others(
    hostile: list[Peer], person: NewPerson, database: Mongo, figure: Figure
) -> None:
    # Given another caller's quiet times
    people = _People(person("service"), person(), person())
    with receiving() as receiver:
        # The first round starts the functions.
        _times(people, receiver, database, rounds=1)
        quiet = _times(people, receiver, database)
        # When one caller has a hundred callbacks to addresses that never answer
        _settle_many(person("service").client, people.asked.username, hostile)
        eventually(lambda: all(peer.connections for peer in hostile))
        busy = _times(people, receiver, database)
    # Then the other's pushes, escalations and callbacks are as quick as before
    for name, seconds in quiet.items():
        figure(f"{name} beside hanging callbacks", f"{busy[name]:.2f} s, {seconds:.2f} s without")
        assert busy[name] <= seconds + _ALLOWED_SECONDS, name


def _settle_many(client: Client, username: str, peers: list[Peer]) -> None:
    for number in range(_HOSTILE_CALLBACKS):
        url = f"http://127.0.0.1:{peers[number % len(peers)].port}/"
        question = {"username": username, "wait": False, "callbackUrl": url}
        request_id = json_of(client.post("/send-notification", question), 202)["requestId"]
        json_of(client.post(request_path(request_id, "cancel"), {}))


def _times(people: _People, receiver: Receiver, database: Mongo, rounds: int = _ROUNDS) -> dict[str, float]:
    """Return the longest time, in seconds, of a push, an escalation after its moment, and a callback."""
    longest = dict.fromkeys(("push", "escalation", "callback"), 0.0)
    for _ in range(rounds):
        escalation = {"username": people.boss.username, "afterMs": 1_000}
        question = {
            "username": people.asked.username,
            "wait": False,
            "callbackUrl": receiver.url,
            "escalateTo": [escalation],
        }
        began = monotonic()
        request_id = json_of(people.caller.client.post("/send-notification", question), 202)["requestId"]
        _wait_for_end(database, request_id, "notify")
        longest["push"] = max(longest["push"], monotonic() - began)
        _wait_for_end(database, request_id, "escalate-0")
        longest["escalation"] = max(longest["escalation"], monotonic() - began - 1)
        answered = monotonic()
        json_of(people.asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
        _wait_for_callback(receiver, request_id)
        longest["callback"] = max(longest["callback"], monotonic() - answered)
    return longest


def _wait_for_end(database: Mongo, request_id: str, effect: str) -> None:
    ended = {"_id": request_id, "outbox.effect": {"$ne": effect}}
    eventually(lambda: database.approvals.find_one(ended, {"_id": 1}), every_seconds=0.01)


def _wait_for_callback(receiver: Receiver, request_id: str) -> None:
    eventually(
        lambda: any(call.event["data"]["requestId"] == request_id for call in receiver.received), every_seconds=0.01
    )
