"""A job elsewhere that reports its progress by calls, while functions die, and watchers in all four ways.

`Workload.act` takes one random step. A step may be cut off: the job then reports again, as jobs do.
`Workload.check` ends the job, and asserts what the job and its watchers may rely on.
"""

import itertools
import random
import secrets
from functools import partial
from typing import Any

import requests

from tests.support.client import Client
from tests.support.waiting import eventually
from tests.support.watchers import WAYS, Watcher, bare

#: Answers to a report: written, or cut off or refused while a function or store is down.
_ANSWERS = {200, 429, 502, 503, 504}
_SETTLED_SECONDS = 300


class Workload:
    """Random reports of one job, *each* watchers in every way, and what they saw."""

    def __init__(self, client: Client, *, each: int = 1, gateway: str = "") -> None:
        """Begin the job. Connections of WebSockets go to *gateway*, if the client's URL has none."""
        self._client, self.session_id = client, f"job-{secrets.token_hex(6)}"
        self._path = f"/api/progress/{self.session_id}"
        #: The number of parts of each increment, by its key.
        self.added: dict[str, int] = {}
        self.failed = 0
        eventually(lambda: self._put({"total": 10**6, "type": "import"}), _SETTLED_SECONDS)
        at = {"socket": client.at(gateway or client.url)}
        self.watchers = [Watcher(way, at.get(way, client), self.session_id) for way in WAYS for _ in range(each)]

    def act(self, rng: random.Random) -> None:
        """Take a random step: add parts, repeat an increment, say how many failed, or say something."""
        choice = rng.choice(["add", "add", "repeat", "failed", "msg"])
        if choice == "add":
            self.added[f"k-{rng.getrandbits(64):x}"] = rng.randint(1, 5)
        if choice in {"add", "repeat"} and self.added:
            # The last key was cut off, perhaps; older ones were not.
            self._add(list(self.added)[-1])
        if choice == "failed":
            self.failed += 1
            self._put({"failed": self.failed})
        if choice == "msg":
            self._put({"msg": f"step {rng.getrandbits(32):x}"})

    def check(self) -> dict[str, Any]:
        """Assert the guarantees, and return the last snapshot.

        Every increment counts once, however often it was repeated. No watcher saw a revision go back; snapshots of the
        same revision are equal, in whichever way they came; each watcher saw the last one.
        """
        for watcher in self.watchers:
            assert watcher.began.wait(_SETTLED_SECONDS), f"{watcher.name} saw nothing: {watcher.error!r}"
        for key in list(self.added):
            eventually(partial(self._add, key), _SETTLED_SECONDS)
        eventually(lambda: self._put({"failed": self.failed, "completed": True}), _SETTLED_SECONDS)
        last: dict[str, Any] = self._client.get(f"/activation/progress/{self.session_id}").json()["data"]
        assert (last["activated"], last["failed"]) == (sum(self.added.values()), self.failed)
        for watcher in self.watchers:
            watcher.check(last, _SETTLED_SECONDS)
        known: dict[int, dict[str, Any]] = {}
        for _, snapshot in itertools.chain(*(watcher.seen for watcher in self.watchers)):
            assert known.setdefault(snapshot["revision"], bare(snapshot)) == bare(snapshot)
        return last

    def _add(self, key: str) -> bool:
        return self._put({"increments": {"activated": self.added[key]}}, key)

    def _put(self, body: dict[str, Any], key: str = "") -> bool:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = self._client.call("PUT", self._path, body, headers=headers)
        except requests.RequestException:
            return False
        if answer.status_code == 409 and answer.json()["code"] == "progress-completed":
            return True
        assert answer.status_code in _ANSWERS, answer.text
        return answer.status_code == 200
