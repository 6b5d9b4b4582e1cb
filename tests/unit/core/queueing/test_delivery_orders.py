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
from chalicelib.core.queueing.attempts import Poison
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.queueing.dead_letters import DeadLetter
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores import clients
from tests.support.queue import PREFIX, Clock, Job, Killed, record, sqs_event

#: Where a worker may die, or fail.
_ENDS = ("", "before", "after", "counted", "dead_lettered", "fails")
_WORKS = ("a", "b", "poison")


class Delivery(NamedTuple):
    """A function gets copy *copy* of the message of *work*; the deliveries *inside* happen during the work."""

    work: str
    copy: int
    end: str
    #: Duration of the work: beyond the lease, others may take the work over.
    seconds: int
    inside: "list[Delivery]"


def _deliveries(inside: st.SearchStrategy[list[Delivery]]) -> st.SearchStrategy[list[Delivery]]:
    delivery = st.builds(
        Delivery,
        work=st.sampled_from(_WORKS),
        copy=st.integers(1, 2),
        end=st.sampled_from(_ENDS),
        seconds=st.sampled_from([0, 10, 40]),
        inside=inside,
    )
    return st.lists(delivery, max_size=3)


_ORDERS: st.SearchStrategy[list[Delivery]] = st.recursive(st.just([]), _deliveries, max_leaves=5)


class ExampleQueue:
    """The queue and the effects of one example, under names of its own."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.queue = Queue(
            f"jobs-{number}", visibility_seconds=60, attempts=99, batch_size=10, concurrency=2, timeout_seconds=50
        )
        self.clock = clock
        #: The ids of the resources that the jobs made, by work.
        self.made: dict[str, set[str]] = {}
        self.dead_lettered: list[str] = []
        self._ends: list[str] = []

    def deliver(self, delivery: Delivery) -> bool:
        """Return whether the message is settled; a worker that died settles nothing."""
        event = sqs_event([record(delivery.work, f"{delivery.work}-{delivery.copy}")])
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

    def dead_letter(self, queue: Queue, letter: DeadLetter) -> None:
        self.dead_lettered.append(Job.model_validate_json(letter.body).work_id)
        self._die("dead_lettered")

    def postpone(self, *_: Any) -> None:
        """Do nothing: the example decides the order of deliveries."""

    def _die(self, here: str) -> None:
        if self._ends[-1] == here:
            raise Killed

    def counted(self) -> tuple[int, int]:
        found = coordination_wiring.counts().read([self.queue.name], ("completed", "failed"))[self.queue.name]
        return found["completed"], found["failed"]


@pytest.fixture
def new_queue(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ExampleQueue]:
    """Make example queues; each takes the place of the former in the whole process."""
    clock = Clock()
    mail = Sender(clients.aws("sqs"), PREFIX)
    claims = Claims(clients.table("coordination"), CoordinationSettings(), now=clock)
    finish = claims.finish
    monkeypatch.setattr(queueing_wiring, "sender", lambda: mail)
    monkeypatch.setattr(coordination_wiring, "claims", lambda: claims)
    made: list[ExampleQueue] = []

    def make() -> ExampleQueue:
        example = ExampleQueue(len(made), clock)
        made.append(example)
        monkeypatch.setattr(claims, "finish", partial(example.finish, finish))
        monkeypatch.setattr(mail, "dead_letter", example.dead_letter)
        monkeypatch.setattr(mail, "postpone", example.postpone)
        return example

    return make


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(order=_ORDERS)
def test_each_work_has_one_effect_and_one_count_in_any_order(
    new_queue: Callable[[], ExampleQueue], order: list[Delivery]
) -> None:
    # Given
    example = new_queue()
    # When the deliveries happen, and then every copy is delivered until it is settled
    for delivery in order:
        example.deliver(delivery)
    for work in _WORKS:
        for copy in (1, 2):
            example.clock.seconds += 60
            assert example.deliver(Delivery(work, copy, "", 0, []))
    # Then
    assert {work: len(ids) for work, ids in example.made.items()} == {"a": 1, "b": 1}
    assert example.counted() == (2, 1)
    assert set(example.dead_lettered) == {"poison"}
