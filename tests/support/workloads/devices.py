"""Devices of one receiver that come and go, and senders that send again until they are answered.

`Workload.act` takes one random step of a device; `senders` send a steady stream meanwhile. `Workload.check` lets every
device come once more, and asserts what senders and receivers may rely on.
"""

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from time import monotonic
from typing import Any

import requests
from pymongo.database import Database

from tests.support.client import Person, json_of
from tests.support.sockets import Refused, Socket, connect, url_of
from tests.support.waiting import eventually

_SETTLED_SECONDS = 180
#: How long a device takes pushes after its join, and how long a sender waits for a receipt.
_STAY_SECONDS, _RECEIPT_SECONDS = 1.0, 10
#: The most ids of one frame.
_MOST_ACKED = 500
#: A frame that a killed function took is not answered, or by a text of the platform: the device joins again.
_BATCH_SECONDS = 15
_AWAY = (AssertionError, TimeoutError, Refused, OSError, ValueError)


class BrokenPromise(Exception):
    """A device got what no device may get."""


class Device:
    """A device that joins under its name, acknowledges most of what it gets, and leaves."""

    def __init__(self, person: Person, name: str) -> None:
        self._person, self.name = person, name
        #: Message ids by the sender's own ids, and those that were acknowledged.
        self.got: dict[str, str] = {}
        self.joins = 0

    def visit(self, rng: random.Random, part: float = 0.8) -> bool:
        """Connect, join, take every batch, and leave. Return whether the join came to its end."""
        try:
            socket = connect(url_of(self._person.client.url), "holdfast", f"token.{self._person.client.token}")
        except _AWAY:
            return False
        try:
            socket.send({"action": "join_chat", "deviceId": self.name})
            return self._take(socket, rng, part)
        except _AWAY:
            return False
        finally:
            with suppress(*_AWAY):
                socket.close()

    def _take(self, socket: Socket, rng: random.Random, part: float) -> bool:
        """Take every batch, and pushes for a moment after the end of the join. Return whether the join ended."""
        offered, pushed, until = set[str](), list[str](), float("inf")
        while monotonic() < until:
            event = self._next(socket, _BATCH_SECONDS if until == float("inf") else _STAY_SECONDS)
            if event["event"] == "messages":
                self._check(event["items"], offered)
                # Without an acknowledgement of the batch, no next one comes.
                acked = self._kept(event["items"], rng, part) or [event["items"][0]["messageId"]]
                socket.send({"action": "ack", "messageIds": acked, "deviceId": self.name})
            elif event["event"] == "chat_message":
                pushed += self._kept([event], rng, part)
            elif event["event"] == "joined":
                until = monotonic() + _STAY_SECONDS
        if pushed:
            socket.send({"action": "ack", "messageIds": pushed[-_MOST_ACKED:], "deviceId": self.name})
        self.joins += 1
        return True

    def _next(self, socket: Socket, seconds: float) -> dict[str, Any]:
        """Return the next event. Without one the join has been answered to its end, or the device comes again."""
        try:
            return socket.receive(seconds)
        except TimeoutError:
            if seconds == _BATCH_SECONDS:
                raise
            return {"event": "nothing"}

    def _kept(self, items: Sequence[dict[str, Any]], rng: random.Random, part: float) -> list[str]:
        """Keep *items*, and return the ids of those that the device acknowledges."""
        for item in items:
            if self.got.setdefault(item["clientMessageId"], item["messageId"]) != item["messageId"]:
                raise BrokenPromise(f"{item['clientMessageId']} came under two ids")
        return [item["messageId"] for item in items if rng.random() < part]

    def _check(self, batch: Sequence[dict[str, Any]], offered: set[str]) -> None:
        """Assert that a batch has its order, and nothing that the join has offered already."""
        ids = [item["messageId"] for item in batch]
        places = [(item["priority"] != "high", item["seq"]) for item in batch]
        if places != sorted(places) or set(ids) & offered:
            raise BrokenPromise(f"a batch of {self.name} is out of order, or repeats messages")
        offered.update(ids)


class Workload:
    """A receiver with devices. *sent* has the own ids of each sender, in the order of sending."""

    def __init__(self, receiver: Person, names: Sequence[str], database: Database[dict[str, Any]]) -> None:
        self._receiver, self._database = receiver, database
        self.devices = [Device(receiver, name) for name in names]
        self.sent: dict[str, list[str]] = {}
        #: Answered calls and receipts.
        self.posted, self.framed = 0, 0

    @property
    def joins(self) -> int:
        """Joins that came to their end."""
        return sum(device.joins for device in self.devices)

    def act(self, rng: random.Random) -> None:
        """Let a random device come and go."""
        rng.choice(self.devices).visit(rng)

    def post(self, sender: Person, own_id: str) -> bool:
        """Send a message by a call; return whether it was taken."""
        try:
            answer = sender.client.post("/api/messages", self._message(sender, own_id))
        except requests.RequestException:
            return False
        assert answer.status_code in {201, 429, 502, 503, 504}, f"{answer.status_code}: {answer.headers} {answer.text}"
        self.posted += answer.status_code == 201
        return answer.status_code == 201

    def frame(self, sender: Person, socket: Socket, own_id: str) -> bool:
        """Send a message by a frame; return whether its receipt came."""
        socket.send({"action": "chat_message", **self._message(sender, own_id)})
        while (event := socket.receive(_RECEIPT_SECONDS))["event"] != "receipt" or event["clientMessageId"] != own_id:
            pass
        self.framed += 1
        return True

    @contextmanager
    def senders(self, by_post: Sequence[Person], by_frame: Sequence[Person], per_second: float) -> Iterator[None]:
        """Send in the block, *per_second* messages of all senders together, if the stack takes so many.

        Each sender sends a message again until it is answered, and then the next one.
        """
        over = threading.Event()
        pause = (len(by_post) + len(by_frame)) / per_second
        with ThreadPoolExecutor(len(by_post) + len(by_frame)) as pool:
            running = [pool.submit(self._stream, sender, over, pause) for sender in by_post]
            running += [pool.submit(self._frames, sender, over, pause) for sender in by_frame]
            try:
                yield
            finally:
                over.set()
        for each in running:
            each.result()

    def check(self) -> int:
        """Assert the guarantees, and return the number of messages.

        Each message is stored once, in its sender's order; each device has got each message under one id, and its
        next join offers nothing; nothing is undelivered.
        """
        sent = [own_id for own_ids in self.sent.values() for own_id in own_ids]
        for device in self.devices:
            eventually(lambda device=device: self._complete(device, sent), _SETTLED_SECONDS, retry=AssertionError)  # type: ignore[misc]
        for own_ids in self.sent.values():
            stored = self._database.messages.find({"clientMessageId": {"$in": own_ids}}, sort=[("seq", 1)])
            assert [each["clientMessageId"] for each in stored] == own_ids
        left = json_of(self._receiver.client.get(f"/api/messages/buffered/{self._receiver.username}"))
        assert left["items"] == []
        return len(sent)

    def _complete(self, device: Device, sent: Sequence[str]) -> bool:
        assert device.visit(random.Random(0), part=1.0)
        missing = set(sent) - device.got.keys()
        assert not missing, f"{len(missing)} of {len(sent)} did not come to {device.name}: {sorted(missing)[:5]}"
        return True

    def _stream(self, sender: Person, over: threading.Event, pause: float) -> None:
        for own_id in self._ids(sender, over, pause):
            eventually(lambda own_id=own_id: self.post(sender, own_id), _SETTLED_SECONDS)  # type: ignore[misc]

    def _frames(self, sender: Person, over: threading.Event, pause: float) -> None:
        socket: Socket | None = None
        for own_id in self._ids(sender, over, pause):
            began = monotonic()
            while True:
                try:
                    socket = socket or connect(url_of(sender.client.url), "holdfast", f"token.{sender.client.token}")
                    if self.frame(sender, socket, own_id):
                        break
                except _AWAY:
                    assert monotonic() - began < _SETTLED_SECONDS, f"no receipt for {own_id}"
                    if socket:
                        with suppress(*_AWAY):
                            socket.close()
                    socket = None
                    over.wait(0.2)
        if socket:
            socket.close()

    def _ids(self, sender: Person, over: threading.Event, pause: float) -> Iterator[str]:
        """Yield new own ids in the pace of the sender, until it is *over*."""
        mine = self.sent.setdefault(sender.username, [])
        due = monotonic()
        for number in count():
            over.wait(max(0.0, due - monotonic()))
            if over.is_set():
                return
            due = max(due + pause, monotonic() - 1)
            mine.append(f"{sender.username}-{number}")
            yield mine[-1]

    def _message(self, sender: Person, own_id: str) -> dict[str, str]:
        to = self._receiver.username
        priority = "high" if own_id.endswith("7") else "normal"
        new = {"to": to, "chatId": f"chat of {sender.username}", "message": own_id, "priority": priority}
        return {**new, "clientMessageId": own_id}
