"""Messages from one user to another, by calls and by frames, while functions die and the receiver's device reconnects.

`Workload.act` takes one random step. A step may be cut off: the sender then sends again under the same id, as apps do.
`Workload.check` reads everything, and asserts what sender and receiver may rely on.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import requests
from pymongo.database import Database

from tests.support.client import Client, Person, json_of
from tests.support.sockets import Socket, connect, url_of
from tests.support.waiting import eventually

#: Answers to a send: stored, too many, cut off, or refused while a store is down.
_ANSWERS = {201, 429, 502, 503, 504}
#: A push that was lost comes at a ping, and messages of killed functions come again after a minute.
_SETTLED_SECONDS = 120
_QUIET_SECONDS = 0.3


class Workload:
    """Random steps, and what became of them: *sent* and *received* by the sender's own ids."""

    def __init__(self, sender: Person, receiver: Person, database: Database[dict[str, Any]]) -> None:
        self._sender, self._receiver, self._database = sender, receiver, database
        self.sent: list[str] = []
        self.received: list[tuple[str, str]] = []
        self.device = self._connect(receiver.client)
        self.app = self._connect(sender.client)
        self._steps: list[tuple[int, Callable[[random.Random], None]]] = [
            (6, self.post),
            (3, self.frame),
            (2, self._again),
            (4, self._take),
            (1, self._reconnect),
        ]

    def act(self, rng: random.Random) -> None:
        """Take a random step."""
        weights, steps = zip(*self._steps, strict=True)
        (step,) = rng.choices(steps, weights)
        step(rng)

    def post(self, rng: random.Random) -> None:
        """Send a message by a call. The id is known before the call, which may be cut off."""
        self.sent.append(f"m-{rng.getrandbits(64):x}")
        self._post(self.sent[-1], rng.choice(["high", "normal"]))

    def frame(self, rng: random.Random) -> None:
        """Send a message by a frame, and wait for nothing."""
        self.sent.append(f"m-{rng.getrandbits(64):x}")
        new = self._message(self.sent[-1], "normal")
        self.app.send({"action": "chat_message", **new})

    def close(self) -> None:
        """Close the connections."""
        self.device.close()
        self.app.close()

    def check(self) -> int:
        """Assert the guarantees, and return the number of messages.

        Each message that was sent is stored once and comes to the device, always under one id. Once the device has
        acknowledged, nothing is undelivered.
        """
        # A message that was stored comes without the help of its sender.
        query = {"clientMessageId": {"$in": self.sent}}
        for own_id in set(self.sent) - set(self._database.messages.distinct("clientMessageId", query)):
            eventually(partial(self._post, own_id), _SETTLED_SECONDS)
        eventually(self._complete, _SETTLED_SECONDS, every_seconds=1, retry=AssertionError)
        ids = dict(self.received)
        assert all(ids[own_id] == message_id for own_id, message_id in self.received)
        stored = list(self._database.messages.find(query))
        assert sorted(each["clientMessageId"] for each in stored) == sorted(self.sent)
        assert len({each["seq"] for each in stored}) == len(stored)
        return len(stored)

    def _complete(self) -> bool:
        self.device.send({"action": "ping"})
        self._take(random.Random(0), part=1.0)
        missing = set(self.sent) - {own_id for own_id, _ in self.received}
        assert not missing, f"{len(missing)} did not come: {sorted(missing)[:5]}"
        left = json_of(self._receiver.client.get(f"/api/messages/buffered/{self._receiver.username}"))["items"]
        if left:
            self._reconnect(random.Random(0))
        assert not left, f"{len(left)} are undelivered"
        return True

    def _again(self, rng: random.Random) -> None:
        if self.sent:
            self._post(rng.choice(self.sent))

    def _reconnect(self, _: random.Random) -> None:
        self.device.close()
        self.device = self._connect(self._receiver.client)

    def _take(self, rng: random.Random, part: float = 0.8) -> None:
        """Take what came, and acknowledge most messages."""
        with suppress(TimeoutError):
            while True:
                event = self.device.receive(_QUIET_SECONDS)
                items = event["items"] if event["event"] == "messages" else []
                items += [event] if event["event"] == "chat_message" else []
                self.received += [(item["clientMessageId"], item["messageId"]) for item in items]
                if acked := [item["messageId"] for item in items if rng.random() < part]:
                    self.device.send({"action": "ack", "messageIds": acked})

    def _post(self, own_id: str, priority: str = "normal") -> bool:
        try:
            answer = self._sender.client.post("/api/messages", self._message(own_id, priority))
        except requests.RequestException:
            return False
        assert answer.status_code in _ANSWERS, answer.text
        return answer.status_code == 201

    def _message(self, own_id: str, priority: str) -> dict[str, str]:
        new = {"to": self._receiver.username, "chatId": "chat", "message": own_id}
        return {**new, "clientMessageId": own_id, "priority": priority}

    def _connect(self, client: Client) -> Socket:
        socket = connect(url_of(client.url), "holdfast", f"token.{client.token}")
        socket.send({"action": "join_chat"})
        return socket


@contextmanager
def running(sender: Person, receiver: Person, database: Database[dict[str, Any]]) -> Iterator[Workload]:
    """Yield a workload with connections of both."""
    workload = Workload(sender, receiver, database)
    try:
        yield workload
    finally:
        workload.close()
