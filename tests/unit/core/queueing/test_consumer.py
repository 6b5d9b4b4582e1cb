"""Messages come twice and workers die; each work is still done and counted once."""

import json
from collections import Counter
from typing import Any

import pytest

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import StillRunning
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later
from chalicelib.core.stores import clients
from tests.support.queue import (
    Job,
    Killed,
    RecordingHandler,
    SqsPoller,
    raise_unavailable,
    raise_unexpected_error,
    read_counts,
)
from tests.unit.conftest import Printed


def test_each_message_is_worked_on_and_counted(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a", "b", "c")
    assert poller.deliver(handler) == []
    assert handler.done == Counter("abc")
    assert (read_counts(), poller.left(), poller.dead_letters()) == ((3, 0), 0, [])


def test_work_is_done_once_for_any_number_of_messages(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given three copies of one message and a second delivery of each
    poller.add("a", copies=3)
    batch = poller.batch()
    poller.deliver(handler, batch)
    poller.deliver(handler, batch)
    # Then
    assert handler.done == Counter("a")
    assert read_counts() == (1, 0)


def test_copy_delivered_during_the_work_is_retried_later(
    poller: SqsPoller, handler: RecordingHandler, printed: Printed
) -> None:
    poller.add("a")
    first = poller.batch()

    def meanwhile(job: Job, claim: Claim) -> None:
        assert poller.deliver(handler, first) == [first[0]["messageId"]]
        handler(job, claim)

    poller.deliver(meanwhile, first)
    assert handler.done == Counter("a")
    assert read_counts() == (1, 0)
    assert [line["outcome"] for line in printed.lines()] == ["again", "done"]


def test_work_of_a_dead_worker_is_redone_under_a_takeover_claim(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given a worker that died between the work and its finish
    poller.add("a")
    batch = poller.batch()

    def do_and_die(job: Job, claim: Claim) -> None:
        handler(job, claim)
        raise Killed

    with pytest.raises(Killed):
        poller.deliver(do_and_die, batch)
    assert read_counts() == (0, 0)
    # When the lease is over and the message comes again
    poller.wait(batch)
    assert poller.deliver(handler) == []
    # Then the second attempt knows, and works on the same resource
    first, second = handler.runs
    assert (first.taken_over, second.taken_over) == (False, True)
    assert first.resource_id == second.resource_id
    assert read_counts() == (1, 0)


def test_work_is_not_redone_if_its_worker_died_after_finishing(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller.add("a")
    batch = poller.batch()
    with monkeypatch.context() as dying:
        finish = Claims.finish

        def finish_and_die(*given: Any, **more: Any) -> None:
            finish(*given, **more)
            raise Killed

        dying.setattr(Claims, "finish", finish_and_die)
        with pytest.raises(Killed):
            poller.deliver(handler, batch)
    poller.wait(batch)
    assert poller.deliver(handler) == []
    assert handler.done == Counter("a")
    assert (read_counts(), poller.left()) == ((1, 0), 0)


def test_only_failed_messages_are_retried(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a", "bad", "b", "worse", "c")
    batch = poller.batch()
    ids = {json.loads(record["body"])["jobId"]: record["messageId"] for record in batch}

    def some(job: Job, claim: Claim) -> None:
        if job.job_id == "bad":
            raise ZeroDivisionError
        if job.job_id == "worse":
            raise Unavailable
        handler(job, claim)

    assert sorted(poller.deliver(some, batch)) == sorted([ids["bad"], ids["worse"]])
    assert handler.done == Counter("abc")
    assert (read_counts(), poller.left()) == ((3, 0), 2)
    # And failed work may be done at once, with the same resource
    poller.wait(batch, seconds=0)
    poller.deliver(handler)
    assert read_counts() == (5, 0)


def test_later_postpones_the_message_by_the_given_seconds(poller: SqsPoller, printed: Printed) -> None:
    def later(job: Job, claim: Claim) -> None:
        raise Later("the paint is wet", 41.2)

    poller.add("a")
    batch = poller.batch()
    assert poller.deliver(later, batch) == [batch[0]["messageId"]]
    # Never sooner than the handler asked
    assert poller.postponed == [42]
    (line,) = printed.lines()
    assert (line["outcome"], line["why"]) == ("again", "the paint is wet")


@pytest.mark.parametrize(("asked", "given"), [(-5, 1), (0, 1), (0.2, 1), (10**6, 42_300)])
def test_pause_beyond_the_limits_of_sqs_is_cut(poller: SqsPoller, asked: float, given: int) -> None:
    def later(job: Job, claim: Claim) -> None:
        raise Later("later", asked)

    poller.add("a")
    poller.deliver(later)
    assert poller.postponed == [given]


def test_longest_pause_doubles_with_each_failure(poller: SqsPoller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.core.runtime.backoff.random.uniform", lambda _, longest: longest)
    poller.add("a")
    for _ in range(2):
        batch = poller.batch()
        poller.deliver(raise_unavailable, batch)
        poller.wait(batch)
    assert poller.postponed == [2, 4]


def test_message_is_retried_when_its_pause_cannot_be_set(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise Unavailable

    poller.add("a", "b")
    batch = poller.batch()
    with monkeypatch.context() as down:
        down.setattr(poller.sender, "postpone", unreachable)
        assert len(poller.deliver(raise_unavailable, batch)) == 2
    poller.wait(batch, seconds=0)
    poller.deliver(handler)
    assert read_counts() == (2, 0)


def test_a_function_that_runs_out_of_time_leaves_the_rest(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    # Given a context whose time is over after two messages
    poller.add(*"abcd")
    batch = poller.batch()
    left = iter([50_000] * 5 + [2_999] * 100)

    class Watch:
        def get_remaining_time_in_millis(self) -> int:
            return 2_999 if len(handler.runs) >= 2 else next(left)

    monkeypatch.setattr("tests.support.queue.Context", lambda _: Watch())
    # When
    failed = poller.deliver(handler, batch)
    # Then the rest is unchanged, and the log names the messages left
    assert len(handler.runs) == 2
    assert failed == [record["messageId"] for record in batch[2:]]
    assert (read_counts(), poller.left(), poller.postponed) == ((2, 0), 2, [0, 0])
    assert [line["outcome"] for line in printed.lines()] == ["done", "done", "left", "left"]
    assert printed.lines()[-1]["workId"] == "d"


def test_work_taken_over_after_its_lease_is_counted_once(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a")
    batch = poller.batch()

    def sleep(job: Job, claim: Claim) -> None:
        poller.clock.seconds += 60
        poller.deliver(handler, batch)
        handler(job, claim)

    assert poller.deliver(sleep, batch) == [batch[0]["messageId"]]
    assert read_counts() == (1, 0)
    assert len({claim.resource_id for claim in handler.runs}) == 1


def test_claim_of_another_queue_does_not_stop_the_work(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a")
    coordination_wiring.claims().begin("other/a", ttl_seconds=60)
    poller.deliver(handler)
    assert read_counts() == (1, 0)


def test_each_message_logs_one_record_with_its_cause(
    poller: SqsPoller, handler: RecordingHandler, printed: Printed
) -> None:
    # Given
    poller.add("a")
    batch = poller.batch()
    # When
    poller.deliver(handler, batch)
    poller.deliver(handler, batch)
    # Then
    first, second = printed.lines()
    assert first["kind"] == second["kind"] == "message"
    for line in (first, second):
        assert (line["queue"], line["workId"], line["requestId"]) == ("jobs", "a", "cause of a")
        assert line["messageId"] == batch[0]["messageId"]
        assert line["receives"] == 1
    assert (first["outcome"], second["outcome"]) == ("done", "repeated")
    assert first["messagesDone"] == 1
    # And the work costs two round trips: claim and finish
    assert first["storeRoundTrips"] == 2


def test_unexpected_error_is_logged_with_traceback_and_request_id(poller: SqsPoller, printed: Printed) -> None:
    poller.add("a")
    poller.deliver(raise_unexpected_error)
    fault, line = printed.lines()
    assert (fault["action"], fault["requestId"]) == ("message_failed", "cause of a")
    assert "ZeroDivisionError" in fault["exception"]
    assert line["outcome"] == "again"


def test_expected_error_is_logged_without_traceback(poller: SqsPoller, printed: Printed) -> None:
    poller.add("a")
    poller.deliver(raise_unavailable)
    (line,) = printed.lines()
    assert (line["outcome"], line["why"]) == ("again", "The yard is locked.")


def test_claim_outlives_the_message_and_its_dead_letter(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a")
    poller.deliver(handler)
    stands = clients.table("coordination").get("claim#jobs/a") or {}
    assert stands["ttl"] - poller.clock.seconds >= 2 * 14 * 24 * 3600
    with pytest.raises(StillRunning):
        coordination_wiring.claims().reopen("jobs/a", "failed", ttl_seconds=60)
