"""Three stock clients follow the stream of one job: a page's EventSource, `eventsource` of npm, and `httpx-sse`."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from httpx_sse import connect_sse

from tests.browser.test_progress import SECONDS, follow, job, put, tabs
from tests.support.client import Client, Person
from tests.support.node import followed, node_packages
from tests.support.waiting import eventually

__all__ = ["job", "node_packages", "tabs"]

#: The pause of a client before the server names another one, as the package's page says.
_RETRY_MS = 1_000


def by_httpx(client: Client, session_id: str) -> Iterator[Any]:
    """Follow the job as the page of httpx-sse says: connect again with the last id, after the pause that came last."""
    url, last, retry_ms = f"{client.url}/activation/progress/{session_id}/events", "", _RETRY_MS
    headers = {"Authorization": f"Bearer {client.token}"}
    with httpx.Client(timeout=60) as session:
        while True:
            with connect_sse(session, "GET", url, headers={**headers, "Last-Event-ID": last}) as source:
                if source.response.status_code == 204:
                    return
                for event in source.iter_sse():
                    last, retry_ms = event.id or last, event.retry or retry_ms
                    if event.data:
                        yield event.json()
            time.sleep(retry_ms / 1000)


class Follower(Thread):
    """Keeps the snapshots of a stream, in their order."""

    def __init__(self, stream: Iterator[Any]) -> None:
        super().__init__(daemon=True)
        self._stream, self.seen = stream, list[Any]()
        self.start()

    def run(self) -> None:
        """Keep what comes."""
        for snapshot in self._stream:
            self.seen.append(snapshot)


def test_stock_clients_see_the_same_snapshots_to_the_last(
    tabs: Callable[[], Any], job: tuple[Person, str], node_packages: Path
) -> None:
    owner, session_id = job
    url = f"{owner.client.url}/activation/progress/{session_id}/events"
    page = tabs()
    follow(page, session_id)
    followers = [
        Follower(followed(node_packages, url, owner.client.token or "")),
        Follower(by_httpx(owner.client, session_id)),
    ]

    def seen() -> list[list[Any]]:
        return [page.evaluate("() => seen"), *(follower.seen for follower in followers)]

    first = owner.client.get(f"/activation/progress/{session_id}").json()["data"]
    expected = [first]
    eventually(partial(_all_are, seen, expected), SECONDS)
    for activated in (3, 6, 10):
        expected.append(put(owner.client, session_id, activated=activated))
        eventually(partial(_all_are, seen, expected), SECONDS)
    assert expected[-1]["completed"]
    # The packages end by themselves, and are not told to.
    for follower in followers:
        follower.join(SECONDS)
        assert not follower.is_alive()
    assert seen() == [expected] * 3


def _all_are(seen: Callable[[], list[list[Any]]], expected: list[Any]) -> bool:
    return all(each == expected for each in seen())
