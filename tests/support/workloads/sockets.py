"""Connections of one person that come, subscribe, break and are signed out, while questions are asked and answered.

`Workload.act` takes one random step. `Workload.check` asserts what open connections may rely on. Pushes are at most
once: where functions die, `check(faults=True)` demands in place of each event the snapshot of a new subscription.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from pymongo.database import Database

from tests.support.approvals import APPROVALS, create_request, request_path
from tests.support.client import Client, Person, json_of
from tests.support.sockets import Socket, connect, url_of
from tests.support.waiting import eventually

_TOPICS = ["inbox", "approvals"]
_MOST_OPEN = 8
#: A snapshot shows twenty questions at most.
_MOST_PENDING = 15
#: Functions of a busy machine start slowly.
_SETTLED_SECONDS = 60
_QUIET_SECONDS = 0.3

Told = tuple[str, str]


class Live:
    """An open connection, in a session of its own. *wanted*: events since its subscription, by name and request."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.socket: Socket = connect(url_of(client.url), "holdfast", f"token.{client.token}")
        self.wanted: set[Told] = set()
        self.got: Counter[Told] = Counter()
        self.told_to_reconnect = False
        self.pending: set[str] = set()
        self.subscribe()

    def subscribe(self) -> None:
        """Follow the topics, and take the snapshot."""
        self.socket.send({"action": "subscribe", "topics": _TOPICS})
        while (event := self.socket.receive())["event"] != "subscribed":
            self.note(event)
        self.pending = {item["requestId"] for item in event["snapshots"][0]["items"]}

    def note(self, event: dict[str, Any]) -> None:
        """Count an event; a second snapshot of a subscription replaces the first."""
        if event["event"].startswith("approval."):
            self.got[event["event"], event["requestId"]] += 1
        elif event["event"] == "subscribed":
            self.pending = {item["requestId"] for item in event["snapshots"][0]["items"]}
        self.told_to_reconnect = self.told_to_reconnect or event["event"] == "reconnect"

    def take(self) -> None:
        """Take what has come."""
        with suppress(TimeoutError):
            while True:
                self.note(self.socket.receive(_QUIET_SECONDS))


class Workload:
    """Random steps, and the open connections. *asker* may ask *person*, whose `sign_in` opens another session."""

    def __init__(self, asker: Client, person: Person, database: Database[dict[str, Any]]) -> None:
        self._asker, self._person, self._database = asker, person, database
        self.live: list[Live] = []
        self._steps: list[tuple[int, Callable[[random.Random], None]]] = [
            (3, self.open),
            (6, self.ask),
            (4, self._answer),
            (1, self._drop),
            (1, self._sign_out),
        ]

    def act(self, rng: random.Random) -> None:
        """Take a random step."""
        weights, steps = zip(*self._steps, strict=True)
        (step,) = rng.choices(steps, weights)
        step(rng)

    def open(self, _: random.Random) -> None:
        """Open a connection in a new session, and subscribe."""
        if len(self.live) < _MOST_OPEN:
            client = Client(self._asker.url).signed_in(self._person.username, self._person.password)
            self.live.append(Live(client))

    def ask(self, _: random.Random) -> None:
        """Put a question to the person."""
        if len(self._pending()) < _MOST_PENDING:
            request_id = create_request(self._asker, self._person.username, timeoutMs=3_600_000)
            self._want("approval.requested", request_id)

    def close(self) -> None:
        """Close the connections."""
        for each in self.live:
            each.socket.close()

    def check(self, *, faults: bool = False) -> int:
        """Assert the guarantees, and return the number of open connections.

        Each open connection got each event once, or was told to reconnect. A new subscription shows the pending
        questions. Closed connections are forgotten. With *faults*, events may be missing, or come twice.
        """
        asked = self._pending()
        for each in self.live:
            each.take()
            if not faults:
                eventually(partial(self._complete, each), _SETTLED_SECONDS, retry=AssertionError)
            twice = [told for told, number in each.got.items() if number > 1]
            assert faults or not twice, f"events came twice: {twice}"
            each.subscribe()
            each.take()
            assert each.pending == asked
        query = {"username": self._person.username}
        eventually(lambda: self._database.connections.count_documents(query) == len(self.live), _SETTLED_SECONDS)
        return len(self.live)

    def _complete(self, live: Live) -> bool:
        live.take()
        missing = live.wanted - live.got.keys()
        assert live.told_to_reconnect or not missing, f"events did not come: {missing}"
        return True

    def _answer(self, rng: random.Random) -> None:
        if asked := self._pending():
            request_id = rng.choice(sorted(asked))
            json_of(self._person.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
            self._want("approval.answered-elsewhere", request_id)
            for each in self.live:
                # A question that was settled before its push is not pushed.
                each.wanted.discard(("approval.requested", request_id))

    def _pending(self) -> set[str]:
        path = f"{APPROVALS}?status=pending&username={self._person.username}"
        return {item["requestId"] for item in json_of(self._person.client.get(path))["items"]}

    def _drop(self, rng: random.Random) -> None:
        if self.live:
            self.live.pop(rng.randrange(len(self.live))).socket.close()

    def _sign_out(self, rng: random.Random) -> None:
        if self.live:
            gone = self.live.pop(rng.randrange(len(self.live)))
            assert gone.client.delete("/api/sessions/current").status_code == 204
            assert gone.socket.closed() is not None
            gone.socket.close()

    def _want(self, name: str, request_id: str) -> None:
        for each in self.live:
            each.wanted.add((name, request_id))


@contextmanager
def running(asker: Client, person: Person, database: Database[dict[str, Any]]) -> Iterator[Workload]:
    """Yield a workload; close its connections at the end."""
    workload = Workload(asker, person, database)
    try:
        yield workload
    finally:
        workload.close()
