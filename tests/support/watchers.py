"""Watchers of a job in each of the four ways, as threads. Each keeps the snapshots that it has got, in their order."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import requests

from tests.support.client import Client
from tests.support.sockets import Refused, connect, run, url_of
from tests.support.waiting import eventually

Snapshot = Mapping[str, Any]
Watch = Callable[[Client, str], Iterator[Snapshot]]

#: The pause of a poll.
POLL_SECONDS = 0.5
_WAIT_MS = 5_000
#: A killed pusher leaves a lease, and the sweep, once a minute, wakes the next one.
_SILENT_SECONDS = 180
#: Answers of a stack under faults; the watcher asks again.
_PASSING = {429, 502, 503, 504}


def polls(client: Client, session_id: str, every_seconds: float = POLL_SECONDS) -> Iterator[Snapshot]:
    """Ask again and again."""
    while True:
        yield from _asked(client, f"/activation/progress/{session_id}")
        time.sleep(every_seconds)


def long_polls(client: Client, session_id: str) -> Iterator[Snapshot]:
    """Ask for the next revision, and wait."""
    revision = 0
    while True:
        path = f"/activation/progress/{session_id}?since={revision}&waitMs={_WAIT_MS}"
        for snapshot in _asked(client, path):
            revision = snapshot["revision"]
            yield snapshot


def streams(client: Client, session_id: str) -> Iterator[Snapshot]:
    """Follow the stream of events as an EventSource does, until 204."""
    last, retry_ms = "", 1_000
    while True:
        headers = {"Last-Event-ID": last} if last else {}
        with suppress(requests.RequestException):
            answer = client.get(f"/activation/progress/{session_id}/events", headers=headers)
            if answer.status_code == 204:
                return
            # An EventSource would give up on every other status; the gateway's own 5xx are the stack's, under faults.
            assert answer.status_code in {200, *_PASSING}, answer.text
            for line in answer.text.splitlines():
                name, _, value = line.partition(": ")
                last = value if name == "id" else last
                retry_ms = int(value) if name == "retry" else retry_ms
                if name == "data":
                    yield json.loads(value)
        time.sleep(retry_ms / 1000)


def sockets(client: Client, session_id: str, asks: Client | None = None) -> Iterator[Snapshot]:
    """Follow the topic by a WebSocket, and ask for the snapshot after a nudge; *asks* has another URL for that."""
    # Refused where a function was killed, or has no place in time.
    join = partial(connect, url_of(client.url), "holdfast", f"token.{client.token}")
    socket = eventually(join, _SILENT_SECONDS, every_seconds=POLL_SECONDS, retry=Refused)
    try:
        socket.send({"action": "subscribe", "topics": [f"progress:{session_id}"]})
        while True:
            event = socket.receive(_SILENT_SECONDS)
            if event["event"] == "subscribed":
                yield from event["snapshots"]
            elif event["event"] == "progress.snapshot":
                yield event
            elif event["event"] == "progress.changed":
                yield _at_least(event["revision"], asks or client, session_id)
    finally:
        socket.close()


WAYS: Mapping[str, Watch] = {"poll": polls, "long poll": long_polls, "stream": streams, "socket": sockets}


class Watcher(threading.Thread):
    """Watches a job until its last snapshot."""

    def __init__(self, way: str, client: Client, session_id: str, watch: Watch | None = None) -> None:
        """Begin to watch by the way's own function, or by *watch*."""
        super().__init__(daemon=True, name=f"{way} of {session_id}")
        self.way, self.session_id, self._client = way, session_id, client
        self._watch = watch or WAYS[way]
        self.seen: list[tuple[float, Snapshot]] = []
        self.error: Exception | None = None
        #: Set by the first snapshot.
        self.began = threading.Event()
        # The loop of all sockets is made here: two threads would make two.
        run(asyncio.sleep(0))
        self.start()

    def run(self) -> None:
        """Keep what comes."""
        try:
            for snapshot in self._watch(self._client, self.session_id):
                self.seen.append((time.monotonic(), snapshot))
                self.began.set()
                # A stream ends by itself.
                if snapshot["completed"] and self.way != "stream":
                    return
        except Exception as error:  # noqa: BLE001 # shown by `check`
            self.error = error

    def check(self, last: Snapshot, seconds: float = 60) -> None:
        """Assert that no revision went back, and that the last snapshot is *last*."""
        self.join(seconds)
        assert self.error is None, f"{self.name}: {self.error!r}"
        revisions = [snapshot["revision"] for _, snapshot in self.seen]
        assert revisions == sorted(revisions), f"{self.name} went back: {revisions}"
        assert revisions, f"{self.name} saw nothing"
        assert bare(self.seen[-1][1]) == bare(last), f"{self.name} did not see the last one"
        assert not self.is_alive(), f"{self.name} goes on after the last one"


def bare(snapshot: Snapshot) -> dict[str, Any]:
    """Return the members of a snapshot without those of an event."""
    return {name: value for name, value in snapshot.items() if name not in {"event", "topic"}}


def _at_least(revision: int, client: Client, session_id: str) -> Snapshot:
    """Ask until the snapshot has *revision* or a higher one."""
    while True:
        for snapshot in _asked(client, f"/activation/progress/{session_id}"):
            if snapshot["revision"] >= revision:
                return snapshot
        time.sleep(POLL_SECONDS)


def _asked(client: Client, path: str) -> Iterator[Snapshot]:
    try:
        answer = client.get(path)
    except requests.RequestException:
        time.sleep(POLL_SECONDS)
        return
    if answer.status_code in _PASSING:
        time.sleep(POLL_SECONDS)
        return
    assert answer.status_code == 200, answer.text
    yield answer.json()["data"]
