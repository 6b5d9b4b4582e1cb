"""Messages: the time of a send and of a push, and of a join that reads a large backlog, batch by batch.

A ping through the same connection is the baseline: the gateway, a function, the check of the session. A bare push goes
to the gateway's management API, past Holdfast. The backlog is stored past the API. Batches of its end are compared with
batches of its beginning: reading must not slow down. `crowd` has the rate of sends, and devices that join at once.
"""

import json
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from pymongo import MongoClient

from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.messages.mailbox import Mailboxes
from chalicelib.messages.models import NewMessage
from chalicelib.messages.settings import MessageSettings
from chalicelib.messages.store import MessageStore
from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.benchmarks.connections import show_trips
from tests.benchmarks.crowd import crowd
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.client import Client, json_of
from tests.support.sockets import Socket, connect, url_of

_TEXT = "x" * 900


class Scale(NamedTuple):
    """The sends of each way, the messages of the backlog, and the devices."""

    sends: int
    backlog: int
    #: Devices that join at once.
    devices: int


_SMOKE, _FULL = Scale(3, 200, 4), Scale(50, 10_000, 200)
#: The part of the batches at either end that is compared.
_PART = 0.2


def run(*, smoke: bool) -> None:
    """Measure, and print two tables."""
    scale = _SMOKE if smoke else _FULL
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        bench = _Bench(stack)
        try:
            began_ms = round(stack.clock.now().timestamp() * 1000)
            ways = bench.ways(scale.sends)
            show_trips(stack, began_ms)
            batches = bench.drain(scale.backlog)
            crowd(stack, scale.devices)
        finally:
            bench.close()
    ping = percentile(ways["ping"], 50)
    rows = [
        [way, f"{percentile(ms, 50):.1f}", f"{percentile(ms, 99):.1f}", f"{percentile(ms, 50) / ping:.2f}"]
        for way, ms in ways.items()
    ]
    show("one message", ("way", "p50 ms", "p99 ms", "ratio to a ping"), rows)
    part = max(1, round(len(batches) * _PART))
    first, last = percentile(batches[:part], 50), percentile(batches[-part:], 50)
    row = [str(scale.backlog), str(len(batches)), f"{scale.backlog / sum(batches) * 1000:.0f}"]
    row += [f"{first:.1f}", f"{last:.1f}", f"{last / first:.2f}"]
    columns = ("backlog", "batches", "messages/s", "first batches p50 ms", "last batches p50 ms", "ratio")
    show("a join that reads a backlog and acknowledges each batch", columns, [row])


class _Bench:
    """A sender and a receiver with a connection each."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        admin = Client(stack.url).signed_in("admin", stack.admin_password or "")
        self._ann, self._bob = (self._person(admin, name) for name in ("ann", "bob"))
        self._sender, self._receiver = self._connect(self._ann), self._connect(self._bob)
        self._receiver.ask({"action": "join_chat"})
        self._management = _management(stack.environment)
        with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
            (found,) = client[DATABASE].connections.find({"username": "bob"})
        self._receiver_id = found["_id"]

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()
        self._receiver.close()

    def ways(self, number: int) -> dict[str, list[float]]:
        """Return the times of each way, after a warm-up, in turn."""
        ways: dict[str, Callable[[], None]] = {
            "ping": lambda: self._expect(self._sender.ask({"action": "ping"}), "pong"),
            "POST until the answer": self._post,
            "POST until the push": lambda: self._pushed(self._post),
            "frame until the receipt": self._frame,
            "bare push until it comes": self._bare,
        }
        for way in ways.values():
            way()
        CONSOLE.log(f"{number} sends of each way")
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(number):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                times[name].append((time.perf_counter() - began) * 1000)
                self._settle()
        return times

    def drain(self, backlog: int) -> list[float]:
        """Store a backlog for a receiver; return the milliseconds of each batch of a join."""
        CONSOLE.log(f"a backlog of {backlog} messages")
        self._store(backlog)
        device, batches, seen = self._connect(self._bob), [], 0
        began = time.perf_counter()
        event = device.ask({"action": "join_chat"})
        while event["event"] == "messages":
            batches.append((time.perf_counter() - began) * 1000)
            ids_ = [item["messageId"] for item in event["items"]]
            seen += len(ids_)
            began = time.perf_counter()
            event = device.ask({"action": "ack", "messageIds": ids_})
            # The sweep pushes a message to a receiver who has acknowledged nothing for a minute.
            while event["event"] == "chat_message":
                event = device.receive()
        device.close()
        self._expect(event, "joined")
        if seen < backlog:
            raise RuntimeError(f"{seen} messages came of {backlog}")
        return batches

    def _store(self, backlog: int) -> None:
        with MongoClient[dict[str, Any]](self._stack.mongodb_uri, tz_aware=True) as client:
            database = client[DATABASE]
            options = MessageSettings()
            mailboxes = Mailboxes(database.mailboxes, options, lambda _: 0)
            store = MessageStore(database.messages, options, mailboxes)
            mailbox = database.mailboxes.find_one({"username": "bob"}) or {}
            bob, new = Account("bob", mailbox["_id"]), NewMessage(to="bob", chat_id="chat", message=_TEXT)
            for _ in range(backlog):
                store.put(ids.new_id(), Account("nobody", "account-of-nobody"), bob, new)

    def _post(self) -> None:
        json_of(self._ann.post("/api/messages", self._message()), 201)

    def _frame(self) -> None:
        self._sender.send({"action": "chat_message", **self._message()})
        self._expect(self._sender.receive(), "receipt")

    def _pushed(self, send: Callable[[], None]) -> None:
        send()
        event = self._receiver.until("chat_message")
        self._receiver.send({"action": "ack", "messageIds": [event["messageId"]]})

    def _bare(self) -> None:
        """Push past Holdfast. The only connection of the receiver takes it."""
        mark = secrets.token_hex(8)
        data = json.dumps({"event": "bare", "mark": mark}).encode()
        self._management.post_to_connection(ConnectionId=self._receiver_id, Data=data)
        while self._receiver.until("bare")["mark"] != mark:
            pass

    def _settle(self) -> None:
        """Take the events that wait for the receiver, and acknowledge the messages among them."""
        frame_id, waiting = secrets.token_hex(8), []
        self._receiver.send({"action": "ping", "id": frame_id})
        while (event := self._receiver.receive()).get("id") != frame_id:
            waiting.append(event)
        # A busy machine's acknowledgements come late, and a ping then offers messages once more.
        items = [item for event in waiting for item in event.get("items", [event])]
        if mine := [item["messageId"] for item in items if "messageId" in item]:
            self._receiver.send({"action": "ack", "messageIds": mine})

    def _message(self) -> dict[str, str]:
        return {"to": "bob", "chatId": "chat", "message": _TEXT, "clientMessageId": secrets.token_hex(8)}

    def _person(self, admin: Client, username: str) -> Client:
        password = secrets.token_hex(12)
        json_of(admin.post("/api/users", {"username": username, "password": password, "roles": ["user"]}), 201)
        return Client(self._stack.url).signed_in(username, password)

    def _connect(self, person: Client) -> Socket:
        return connect(url_of(self._stack.url), "holdfast", f"token.{person.token}")

    @staticmethod
    def _expect(event: dict[str, Any], name: str) -> None:
        if event["event"] != name:
            raise RuntimeError(f"{event['event']} came in place of {name}: {event}")


def _management(environment: dict[str, str]) -> Any:
    """Return a client of the management API of the stack's gateway."""
    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=environment["SOCKETS_MANAGEMENT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
