"""A queue with ``finish="batch"``: the new messages of a batch are begun and finished in one transaction each."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import ClaimLost
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Outcome, Poison
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.stores import clients
from tests.support.queue import JOBS, Job, Killed, RecordingHandler, SqsPoller, die, read_counts, sqs_event
from tests.unit.conftest import Printed

BATCHED = replace(JOBS, finish="batch")


@pytest.fixture
def poller(poller: SqsPoller) -> SqsPoller:
    poller.queue = BATCHED
    return poller


def in_order(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(batch, key=lambda record: str(json.loads(record["body"])["jobId"]))


def test_copies_in_one_batch_are_worked_on_once(poller: SqsPoller, handler: RecordingHandler, printed: Printed) -> None:
    poller.add("a", "b", "c", copies=3)
    assert poller.deliver(handler) == []
    assert handler.done == Counter("abc")
    assert read_counts() == (3, 0)
    outcomes = Counter(line["outcome"] for line in printed.lines() if line["kind"] == "message")
    assert outcomes == {"done": 3, "repeated": 6}


def test_new_copies_of_done_work_leave_the_batch(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a", "b")
    poller.deliver(handler)
    poller.add(*"abcd")
    assert poller.deliver(handler) == []
    assert handler.done == Counter("abcd")
    assert read_counts() == (4, 0)


def test_a_copy_delivered_during_the_batch_is_retried_later(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a", "b")
    batch = poller.batch()
    inside: list[str] = []

    def meanwhile(job: Job, claim: Claim) -> None:
        if not inside:
            inside.extend(poller.deliver(handler, batch))
        handler(job, claim)

    assert poller.deliver(meanwhile, batch) == []
    assert sorted(inside) == sorted(record["messageId"] for record in batch)
    assert handler.done == Counter("ab")
    assert read_counts() == (2, 0)


def test_a_message_that_kills_its_workers_fails_alone(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given a message that kills each worker, in the middle of a batch
    poller.add(*"abcde")

    def some(job: Job, claim: Claim) -> None:
        if job.job_id == "c":
            raise Killed
        handler(job, claim)

    # When each delivery ends with a kill, as often as there are attempts, and once more for the batch
    for _ in range(JOBS.attempts + 1):
        batch = in_order(poller.batch())
        with pytest.raises(Killed):
            poller.deliver(some, batch)
        poller.wait(batch)
    poller.deliver(some)
    # Then its neighbours are done, each with one resource
    assert read_counts() == (4, 1)
    ((body, reason),) = poller.dead_letters()
    assert json.loads(body)["jobId"] == "c"
    assert reason == f"after {JOBS.attempts} attempts: no attempt ended"
    assert set(handler.done) == set("abde")
    assert len({claim.resource_id for claim in handler.runs}) == 4


def test_a_death_in_a_batch_uses_up_no_attempt(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given a queue with one attempt, and a worker that died in a batch
    poller.queue = replace(BATCHED, attempts=1)
    poller.add("a", "b")
    batch = poller.batch()
    with pytest.raises(Killed):
        poller.deliver(die, batch)
    # When, then
    poller.wait(batch)
    assert poller.deliver(handler) == []
    assert (read_counts(), poller.dead_letters()) == ((2, 0), [])
    assert all(claim.taken_over and claim.failures == 0 for claim in handler.runs)


def test_a_lost_claim_does_not_fail_its_batch(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given a batch in which one claim is taken over after its lease
    poller.add(*"abc")
    batch = in_order(poller.batch())

    def slow(job: Job, claim: Claim) -> None:
        handler(job, claim)
        if job.job_id == "b":
            poller.clock.seconds += 60
            poller.deliver(handler, [batch[1] | {"attributes": batch[1]["attributes"] | _SECOND}])

    # When, then
    assert poller.deliver(slow, batch) == [batch[1]["messageId"]]
    assert read_counts() == (3, 0)


_SECOND = {"ApproximateReceiveCount": "2"}


def test_a_function_that_runs_out_of_time_leaves_the_rest_of_a_batch(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    # Given a context whose time is over after two messages
    poller.add(*"abcd")
    batch = in_order(poller.batch())

    class Watch:
        def get_remaining_time_in_millis(self) -> int:
            return 2_999 if len(handler.runs) >= 2 else 50_000

    monkeypatch.setattr("tests.support.queue.Context", lambda _: Watch())
    # When
    assert poller.deliver(handler, batch) == [record["messageId"] for record in batch[2:]]
    # Then
    assert (read_counts(), poller.left(), poller.postponed) == ((2, 0), 2, [0, 0])
    lines = [line["outcome"] for line in printed.lines() if line["kind"] == "message"]
    assert lines == ["done", "done", "left", "left"]


def test_work_left_for_lack_of_time_may_begin_at_once(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a", "b")
    batch = poller.batch()
    assert len(poller.deliver(handler, batch, remaining_ms=2_999)) == 2
    poller.wait(batch, seconds=0)
    assert poller.deliver(handler) == []
    assert read_counts() == (2, 0)
    assert all(claim.failures == 0 for claim in handler.runs)


def test_no_handler_of_a_batch_begins_at_the_end_of_its_lease(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a first handler that takes longer than the lease
    poller.add("a", "b")
    batch = poller.batch()
    seconds = 0.0
    monkeypatch.setattr("chalicelib.core.runtime.deadline.monotonic", lambda: seconds)

    def slow(job: Job, claim: Claim) -> None:
        nonlocal seconds
        handler(job, claim)
        seconds += 30

    # When, then
    assert len(poller.deliver(slow, batch)) == 1
    assert len(handler.runs) == 1


def test_a_refused_batch_is_finished_message_by_message(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ClaimLost

    monkeypatch.setattr(Claims, "finish_new", refuse)
    poller.add(*"abc")
    assert poller.deliver(handler) == []
    assert (handler.done, read_counts()) == (Counter("abc"), (3, 0))


def test_unreadable_messages_leave_the_batch(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a", "b")
    poller.put_bodies("no JSON", '{"schema":1,"unheardOf":1}')
    assert poller.deliver(handler) == []
    assert (handler.done, read_counts()) == (Counter("ab"), (2, 2))
    assert len(poller.dead_letters()) == 2


def test_a_redriven_dead_letter_leaves_the_batch(poller: SqsPoller, handler: RecordingHandler) -> None:
    def poison(_job: Job, _claim: Claim) -> None:
        raise Poison("never")

    poller.add("a", "b")
    poller.deliver(poison)
    assert poller.redrive() == 2
    poller.deliver(handler)
    assert (handler.done, read_counts()) == (Counter("ab"), (2, 2))


def test_each_message_of_a_batch_logs_one_record_with_its_cause(
    poller: SqsPoller, handler: RecordingHandler, printed: Printed
) -> None:
    poller.add("a", "b")
    batch = in_order(poller.batch())
    poller.deliver(handler, batch)
    whole, *lines = printed.lines()
    assert (whole["kind"], whole["queue"], whole["messagesInBatch"], whole["storeRoundTrips"]) == (
        "batch",
        "jobs",
        2,
        2,
    )
    for line, record, job in zip(lines, batch, "ab", strict=True):
        assert (line["kind"], line["outcome"], line["messagesDone"]) == ("message", "done", 1)
        assert (line["queue"], line["workId"], line["requestId"]) == ("jobs", job, f"cause of {job}")
        assert (line["messageId"], line["receives"]) == (record["messageId"], 1)


def test_ended_is_called_after_the_batch_is_finished(poller: SqsPoller, handler: RecordingHandler) -> None:
    ended: list[tuple[str, str]] = []

    def end(job: Job, _outcome: Outcome) -> None:
        ended.append((job.job_id, (clients.table("coordination").get(f"claim#jobs/{job.job_id}") or {})["state"]))

    poller.add("a", "b")
    batch = in_order(poller.batch())
    run_batch(sqs_event(batch), BATCHED, Job, handler, end)
    assert ended == [("a", "done"), ("b", "done")]


def test_failed_call_of_ended_postpones_its_message_alone(poller: SqsPoller, handler: RecordingHandler) -> None:
    def end(job: Job, _outcome: Outcome) -> None:
        if job.job_id == "a":
            raise Unavailable

    poller.add("a", "b")
    batch = in_order(poller.batch())
    answer = run_batch(sqs_event(batch), BATCHED, Job, handler, end)
    assert answer["batchItemFailures"] == [{"itemIdentifier": batch[0]["messageId"]}]
    assert read_counts() == (2, 0)
