"""Deliveries in every order, one inside another, with workers that die anywhere: effects once, counts exact."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.queueing.consumer import Poison, run_batch
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores import clients
from tests.support.queue import PREFIX, Clock, Job, Killed, asked, record

#: Where a worker may die, or fail.
_ENDS = ("", "before", "after", "counted", "dead-lettered", "fails")
_WORKS = ("a", "b", "poison")


class Delivery(NamedTuple):
    """A function gets copy *copy* of the message of *work*; *inside* happens while it is at work."""

    work: str
    copy: int
    end: str
    #: How long the work takes: beyond its lease, others may take it over.
    seconds: int
    inside: "list[Delivery]"


def _deliveries(inside: st.SearchStrategy[list[Delivery]]) -> st.SearchStrategy[list[Delivery]]:
    one = st.builds(
        Delivery,
        work=st.sampled_from(_WORKS),
        copy=st.integers(1, 2),
        end=st.sampled_from(_ENDS),
        seconds=st.sampled_from([0, 10, 40]),
        inside=inside,
    )
    return st.lists(one, max_size=3)


_ORDERS: st.SearchStrategy[list[Delivery]] = st.recursive(st.just([]), _deliveries, max_leaves=5)


class Yard:
    """Where the jobs of one example are done, under names that no other example has."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.queue = Queue(
            f"jobs-{number}", visibility_seconds=60, attempts=99, batch_size=10, concurrency=2, timeout_seconds=50
        )
        self.clock = clock
        #: What the jobs made, by work: by the ids of the resources.
        self.made: dict[str, set[str]] = {}
        self.dead_lettered: list[str] = []
        self._ends: list[str] = []

    def deliver(self, delivery: Delivery) -> bool:
        """Return whether the message is settled; a worker that died settles nothing."""
        event = asked([record(delivery.work, f"{delivery.work}-{delivery.copy}")])
        self._ends.append(delivery.end)
        try:
            answer = run_batch(event, self.queue, Job, partial(self._handle, delivery))
        except Killed:
            return False
        finally:
            self._ends.pop()
        return not answer["batchItemFailures"]

    def _handle(self, delivery: Delivery, job: Job, claim: Claim) -> None:
        self._die("before")
        for inner in delivery.inside:
            self.deliver(inner)
        if delivery.end == "fails":
            raise Unavailable
        if job.job_id == "poison":
            raise Poison("poison")
        self.made.setdefault(job.job_id, set()).add(claim.resource_id)
        self.clock.seconds += delivery.seconds
        self._die("after")

    def finish(self, write: Any, *given: Any, **more: Any) -> None:
        write(*given, **more)
        self._die("counted")

    def dead_letter(self, queue: Queue, body: str, reason: str) -> None:
        self.dead_lettered.append(Job.model_validate_json(body).work_id)
        self._die("dead-lettered")

    def postpone(self, *_: Any) -> None:
        """Let it be: the example decides when what comes again."""

    def _die(self, here: str) -> None:
        if self._ends[-1] == here:
            raise Killed

    def counted(self) -> tuple[int, int]:
        found = coordination_wiring.counts().read([self.queue.name], ("completed", "failed"))[self.queue.name]
        return found["completed"], found["failed"]


@pytest.fixture
def yards(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Yard]:
    """Makes yards, each with the whole process to itself."""
    clock = Clock()
    mail = Sender(clients.aws("sqs"), PREFIX)
    claims = Claims(clients.table("coordination"), CoordinationSettings(), now=clock)
    finish = claims.finish
    monkeypatch.setattr(queueing_wiring, "sender", lambda: mail)
    monkeypatch.setattr(coordination_wiring, "claims", lambda: claims)
    made: list[Yard] = []

    def make() -> Yard:
        yard = Yard(len(made), clock)
        made.append(yard)
        monkeypatch.setattr(claims, "finish", partial(yard.finish, finish))
        monkeypatch.setattr(mail, "dead_letter", yard.dead_letter)
        monkeypatch.setattr(mail, "postpone", yard.postpone)
        return yard

    return make


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(order=_ORDERS)
def test_whatever_happens_each_work_has_one_effect_and_counts_once(
    yards: Callable[[], Yard], order: list[Delivery]
) -> None:
    # Given
    yard = yards()
    # When anything happens, and then every copy comes until it is settled
    for delivery in order:
        yard.deliver(delivery)
    for work in _WORKS:
        for copy in (1, 2):
            yard.clock.seconds += 60
            assert yard.deliver(Delivery(work, copy, "", 0, []))
    # Then
    assert {work: len(ids) for work, ids in yard.made.items()} == {"a": 1, "b": 1}
    assert yard.counted() == (2, 1)
    assert set(yard.dead_lettered) == {"poison"}
