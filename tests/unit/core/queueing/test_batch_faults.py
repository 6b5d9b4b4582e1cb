"""Batches under conflicts, lost, late and repeated requests, and kills: nothing is lost, and nothing counted twice."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import Fate, FaultyNetwork
from tests.support.queue import JOBS, PREFIX, Clock, Job, Killed, record, sqs_event
from tests.unit.core.conftest import NAME

#: Ten messages of seven works; the last can never succeed.
_MESSAGES = ("a", "b", "c", "a", "d", "poison", "e", "f", "c", "poison")
_WORKS = set(_MESSAGES) - {"poison"}
_FATES = st.lists(st.sampled_from(Fate), max_size=8)
_ENDS = st.lists(st.sampled_from(["", "", "fails", "dies", "dies after"]), max_size=8)


class Example:
    """A queue under a name of its own, whose handlers and writes meet planned faults."""

    def __init__(self, number: int, network: FaultyNetwork, clock: Clock) -> None:
        self.queue = replace(JOBS, name=f"batches-{number}", attempts=99, finish="batch")
        self.network, self.clock = network, clock
        self.made: dict[str, set[str]] = {}
        self.dead_lettered: set[str] = set()
        self.ends: list[str] = []
        #: The number of deliveries of each unsettled message.
        self._left = {f"{place}-{job}": 0 for place, job in enumerate(_MESSAGES)}

    def deliver(self, fates: list[Fate]) -> None:
        """Deliver what is left as one batch; a worker that died settles nothing."""
        batch = []
        for message_id in self._left:
            self._left[message_id] += 1
            batch.append(record(message_id.partition("-")[2], message_id, receives=self._left[message_id]))
        with self.network.send("deliver", fates):
            try:
                answer = run_batch(sqs_event(batch), self.queue, Job, self._handle)
            except Killed:
                return
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        self._left = {message_id: times for message_id, times in self._left.items() if message_id in failed}

    def settle(self) -> None:
        """Deliver without faults until every message is settled."""
        for _ in range(3):
            self.clock.seconds += 60
            self.deliver([])
        assert self._left == {}

    def _handle(self, job: Job, claim: Claim) -> None:
        end = self.ends.pop(0) if self.ends else ""
        if end == "fails":
            raise Unavailable
        if end == "dies":
            raise Killed
        if job.job_id == "poison":
            raise Poison("poison")
        self.made.setdefault(job.job_id, set()).add(claim.resource_id)
        if end == "dies after":
            raise Killed

    def dead_letter(self, _queue: Queue, letter: DeadLetter) -> None:
        self.dead_lettered.add(json.loads(letter.body)["jobId"])

    def counted(self) -> tuple[int, int]:
        found = coordination_wiring.counts().read([self.queue.name], ("completed", "failed"))[self.queue.name]
        return found["completed"], found["failed"]


@pytest.fixture
def new_example(network: FaultyNetwork, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Example]:
    """Make examples; each takes the place of the former in the whole process."""
    clock, mail = Clock(), Sender(clients.aws("sqs"), PREFIX)
    table = Table(network, NAME, pause=lambda _: None)
    claims = Claims(table, CoordinationSettings(), now=clock)
    monkeypatch.setattr(coordination_wiring, "claims", lambda: claims)
    monkeypatch.setattr(queueing_wiring, "sender", lambda: mail)
    monkeypatch.setattr(mail, "postpone", lambda *_: None)
    made: list[Example] = []

    def make() -> Example:
        made.append(Example(len(made), network, clock))
        monkeypatch.setattr(mail, "dead_letter", made[-1].dead_letter)
        return made[-1]

    return make


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rounds=st.lists(st.tuples(_FATES, _ENDS, st.integers(0, 60)), min_size=1, max_size=3), late=st.booleans())
def test_batches_have_one_effect_and_one_count_whatever_fails(
    new_example: Callable[[], Example], rounds: list[tuple[list[Fate], list[str], int]], late: bool
) -> None:
    # Given deliveries whose writes and handlers meet faults
    example = new_example()
    for fates, ends, seconds in rounds:
        example.ends = list(ends)
        example.deliver(fates)
        example.clock.seconds += seconds
        while example.network.underway and not late:
            example.network.deliver()
    # When all messages are settled, and the last delayed requests arrive
    example.ends = []
    example.settle()
    while example.network.underway:
        example.network.deliver()
    # Then
    assert {work: len(ids) for work, ids in example.made.items()} == dict.fromkeys(_WORKS, 1)
    assert example.counted() == (len(_WORKS), 1)
    assert example.dead_lettered == {"poison"}


@pytest.mark.parametrize("conflicts", [1, 9])
@pytest.mark.parametrize("before", [0, 1], ids=["begin", "finish"])
def test_conflicts_of_a_batch_are_retried_without_a_repeat(
    new_example: Callable[[], Example], conflicts: int, before: int
) -> None:
    example, runs = new_example(), Counter[str]()
    with example.network.send("", [*[Fate.FINE] * before, *[Fate.CONFLICT] * conflicts]):
        batch = [record(job, job) for job in "abcdefghij"]
        answer = run_batch(sqs_event(batch), example.queue, Job, lambda job, _: runs.update(job.job_id))
    assert answer == {"batchItemFailures": []}
    assert runs == Counter("abcdefghij")
    assert example.counted() == (10, 0)


@pytest.mark.parametrize("fate", [Fate.CONFLICT, Fate.LOST, Fate.LATE])
def test_a_finish_without_an_answer_is_decided_message_by_message(
    new_example: Callable[[], Example], fate: Fate
) -> None:
    # Given a begin, and a finish that conflicts until its attempts are used up, or whose answer is lost or late
    example, runs = new_example(), Counter[str]()
    batch = [record(job, job) for job in "abc"]
    with example.network.send("", [Fate.FINE, *[fate] * (10 if fate is Fate.CONFLICT else 1)]):
        answer: dict[str, Any] = run_batch(sqs_event(batch), example.queue, Job, lambda job, _: runs.update(job.job_id))
    while example.network.underway:
        example.network.deliver()
    # Then
    assert answer == {"batchItemFailures": []}
    assert runs == Counter("abc")
    assert example.counted() == (3, 0)
