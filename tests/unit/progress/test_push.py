"""One pusher per job tells the connections of WebSockets."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chalicelib import progress, sockets
from chalicelib.core.stores import clients
from chalicelib.progress import push, wiring
from chalicelib.progress.queues import Wake
from chalicelib.progress.store import ProgressStore
from tests.unit.progress.build import ANN, Mongo

Event = Mapping[str, Any]
TOPIC = "progress:job"
_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/holdfast-unit-progress"


class Followers:
    """Connections that follow the job, the events that they got, and what happens at each pause of a pusher."""

    def __init__(self) -> None:
        self.count = 1
        self.events: list[Event] = []
        self.pauses: list[float] = []
        self.then: list[Callable[[], object]] = []

    def tell(self, topic: str, event: Event) -> int:
        assert topic == TOPIC
        self.events.append(event)
        return self.count

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.then:
            self.then.pop(0)()


@pytest.fixture(autouse=True)
def followers(monkeypatch: pytest.MonkeyPatch, store: ProgressStore, mail: object) -> Followers:
    found = Followers()
    monkeypatch.setattr(sockets, "tell", found.tell)
    monkeypatch.setattr(sockets, "followers", lambda _: found.count)
    monkeypatch.setattr(sockets, "followed", lambda _: [TOPIC] if found.count else [])
    monkeypatch.setattr(push, "sleep", found.pause)
    monkeypatch.setattr(push, "_QUIET_SECONDS", 0)
    progress.begin("job", ANN, "activation", 100)
    return found


def woken() -> list[Wake]:
    """Return the messages that wait for a pusher."""
    got = clients.aws("sqs").receive_message(QueueUrl=_URL, MaxNumberOfMessages=10).get("Messages", [])
    return [Wake.model_validate_json(each["Body"]) for each in got]


def run(wake: Wake) -> None:
    push.work(wake, None)  # type: ignore[arg-type]


def test_a_change_of_a_followed_job_wakes_one_pusher(followers: Followers) -> None:
    for _ in range(3):
        progress.move("job", {"activated": 1})
        progress.announce("job")
    assert len(woken()) == 1


def test_a_change_that_nobody_follows_wakes_no_pusher(followers: Followers) -> None:
    followers.count = 0
    assert not push.announce("job")
    assert woken() == []


def test_a_pusher_pushes_the_newest_snapshot_and_rests(followers: Followers) -> None:
    progress.announce("job")
    last = progress.move("job", {"activated": 1})
    run(woken()[0])
    shown = last.model_dump(mode="json")
    assert followers.events == [{"event": "progress.snapshot", "topic": TOPIC, **shown}]
    assert not push.announce("job")


def test_a_change_during_a_push_is_pushed_by_the_same_pusher(
    followers: Followers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(topic: str, event: Event) -> int:
        followers.tell(topic, event)
        if len(followers.events) == 1:
            progress.move("job", {"activated": 1})
            assert not push.announce("job")
        return 1

    monkeypatch.setattr(sockets, "tell", tell)
    progress.announce("job")
    run(woken()[0])
    assert [event["revision"] for event in followers.events] == [1, 2]


def test_a_pusher_that_waits_for_a_change_pushes_no_snapshot_twice(followers: Followers) -> None:
    push._QUIET_SECONDS = 0.001
    followers.then = [lambda: None, lambda: progress.move("job", {"activated": 1})]
    progress.announce("job")
    run(woken()[0])
    revisions = [event["revision"] for event in followers.events]
    assert revisions == sorted(set(revisions))


def test_a_pusher_without_its_lease_pushes_nothing(followers: Followers, mongodb: Mongo) -> None:
    progress.announce("job")
    (wake,) = woken()
    mongodb.progress.update_one({}, [{"$set": {"push.until": {"$subtract": ["$$NOW", 1]}}}])
    progress.announce("job")
    run(wake)
    assert followers.events == []
    run(woken()[0])
    assert len(followers.events) == 1


def test_many_connections_get_nudges_once_a_second(followers: Followers) -> None:
    followers.count = push.MOST_SNAPSHOTS + 1
    followers.then = [lambda: progress.move("job", {"activated": 1})] * 2
    push._QUIET_SECONDS = 0.001
    progress.announce("job")
    run(woken()[0])
    assert followers.events[0] == {"event": "progress.changed", "topic": TOPIC, "revision": 1}
    assert set(followers.pauses) <= {1.0}


def test_a_pusher_whose_time_is_over_wakes_the_next_one(followers: Followers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "_LONGEST_SECONDS", -1)
    progress.announce("job")
    run(woken()[0])
    monkeypatch.undo()
    assert len(woken()) == 1


def test_the_sweep_wakes_a_pusher_of_a_change_nobody_announced(followers: Followers) -> None:
    progress.move("job", {"activated": 1})
    assert push.sweep() == 1
    assert push.sweep() == 0


def test_a_lease_of_a_killed_pusher_ends_by_itself(followers: Followers, mongodb: Mongo) -> None:
    progress.announce("job")
    mongodb.progress.update_one({}, [{"$set": {"push.until": {"$subtract": ["$$NOW", 1]}}}])
    assert wiring.leases().take("job")
