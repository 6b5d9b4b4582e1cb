"""A message that cannot succeed is dead-lettered with its reason, and may be redriven."""

import json
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Poison
from tests.support.queue import (
    JOBS,
    Job,
    Killed,
    RecordingHandler,
    SqsPoller,
    die,
    raise_poison,
    raise_unavailable,
    raise_unexpected_error,
    read_counts,
)
from tests.unit.conftest import Printed


def test_poison_is_dead_lettered_at_once_with_its_reason(poller: SqsPoller, printed: Printed) -> None:
    poller.add("a")
    assert poller.deliver(raise_poison) == []
    (line,) = printed.lines()
    assert (line["outcome"], line["messagesDeadLettered"], line["why"]) == ("deadLettered", 1, "nobody can do a")
    ((body, reason),) = poller.dead_letters()
    assert reason == "nobody can do a"
    assert json.loads(body) == {"schema": 1, "causedBy": "cause of a", "jobId": "a"}
    assert (read_counts(), poller.left()) == ((0, 1), 0)


def test_poison_is_counted_once_if_its_worker_died_before_dead_lettering(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller.add("a")
    batch = poller.batch()
    with monkeypatch.context() as dying:
        dying.setattr(poller.sender, "dead_letter", die)
        with pytest.raises(Killed):
            poller.deliver(raise_poison, batch)
    poller.wait(batch)
    assert poller.deliver(handler) == []
    assert poller.dead_letters()[0][1] == "nobody can do a"
    assert (handler.runs, read_counts()) == ([], (0, 1))


def test_poison_is_retried_while_the_dead_letter_queue_is_down(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller.add("a")
    batch = poller.batch()

    def unreachable(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as down:
        down.setattr(poller.sender, "dead_letter", unreachable)
        assert poller.deliver(raise_poison, batch) == [batch[0]["messageId"]]
    poller.wait(batch)
    assert poller.deliver(handler) == []
    assert len(poller.dead_letters()) == 1
    assert read_counts() == (0, 1)


@pytest.mark.parametrize("reason", ["a \x00 \x1b[31m quote", "half a pair: \ud800", "x" * 5_000, ""])
def test_reason_with_any_text_is_made_printable(poller: SqsPoller, reason: str) -> None:
    def quote(job: Job, claim: Claim) -> None:
        raise Poison(reason)

    poller.add("a")
    assert poller.deliver(quote) == []
    ((_, said),) = poller.dead_letters()
    assert said
    assert said.isprintable()
    assert len(said) <= 1_000


@pytest.mark.parametrize(
    ("handle", "why"),
    [(raise_unavailable, "The yard is locked."), (raise_unexpected_error, "ZeroDivisionError")],
)
def test_last_failed_attempt_is_dead_lettered_with_its_error(poller: SqsPoller, handle: Any, why: str) -> None:
    poller.add("a")
    for _ in range(JOBS.attempts):
        assert poller.dead_letters() == []
        batch = poller.batch()
        failed = poller.deliver(handle, batch)
        if failed:
            poller.wait(batch)
    assert failed == []
    assert [reason for _, reason in poller.dead_letters()] == [f"after 3 attempts: {why}"]
    assert (read_counts(), poller.left()) == ((0, 1), 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("4711", "unreadable: "),
        ("{broken 4711", "unreadable: "),
        ('{"schema":1,"causedBy":"x","jobId":4711}', "jobId"),
        ('{"schema":2,"causedBy":"x","jobId":"4711"}', "schema"),
        ('{"schema":1,"causedBy":"x","jobId":"a","pin":"4711"}', "pin"),
        ('{"schema":1,"causedBy":"x"}', "jobId"),
    ],
)
def test_unreadable_message_is_dead_lettered_without_its_values(
    poller: SqsPoller, handler: RecordingHandler, body: str, said: str
) -> None:
    poller.put_bodies(body)
    assert poller.deliver(handler) == []
    ((dead_lettered, reason),) = poller.dead_letters()
    assert dead_lettered == body
    assert said in (reason or "")
    assert "4711" not in (reason or "")
    assert (handler.runs, read_counts()) == ([], (0, 1))


def test_each_unreadable_message_is_counted_once(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.put_bodies("same", "same")
    batch = poller.batch()
    poller.deliver(handler, batch)
    poller.deliver(handler, batch)
    assert read_counts() == (0, 2)


def test_redriven_dead_letter_is_worked_on_again(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given
    poller.add("a")
    poller.deliver(raise_poison)
    # When
    assert poller.redrive() == 1
    assert poller.deliver(handler) == []
    # Then the work is completed, and its failure is still counted
    assert [claim.taken_over for claim in handler.runs] == [True]
    assert (read_counts(), poller.dead_letters()) == ((1, 1), [])
    # And a late copy changes nothing
    poller.add("a")
    poller.put_bodies(Job(job_id="a").model_dump_json(), reason="nobody can do a")
    poller.deliver(handler)
    assert (read_counts(), len(handler.runs)) == ((1, 1), 1)


def test_redriven_dead_letter_that_fails_again_runs_no_further(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a redriven dead letter whose worker dies between counting and dead-lettering
    poller.add("a")
    poller.deliver(raise_poison)
    poller.redrive()
    batch = poller.batch()
    with monkeypatch.context() as dying:
        dying.setattr(poller.sender, "dead_letter", die)
        with pytest.raises(Killed):
            poller.deliver(raise_poison, batch)
    assert read_counts() == (0, 2)
    # When the message is delivered again, twice
    poller.wait(batch)
    batch = poller.batch()
    poller.deliver(handler, batch)
    poller.deliver(handler, batch)
    # Then the message is only dead-lettered
    assert (handler.runs, read_counts()) == ([], (0, 2))
    assert {reason for _, reason in poller.dead_letters()} == {"nobody can do a"}


def test_of_two_redriven_dead_letters_of_one_work_one_runs(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two dead letters of one work, and the second's worker a moment behind
    poller.add("a")
    batch = poller.batch()
    poller.deliver(raise_poison, batch)
    poller.deliver(raise_poison, batch)
    assert poller.redrive() == 2
    first, second = poller.batch()
    reopen = Claims.reopen

    def too_late(*given: Any, **more: Any) -> Claim:
        monkeypatch.setattr(Claims, "reopen", reopen)
        poller.deliver(handler, [first])
        return reopen(*given, **more)

    # When
    monkeypatch.setattr(Claims, "reopen", too_late)
    assert poller.deliver(handler, [second]) == [second["messageId"]]
    # Then
    assert (len(handler.runs), read_counts()) == (1, (1, 1))


def test_new_message_does_not_revive_dead_lettered_work(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a")
    poller.deliver(raise_poison)
    poller.add("a")
    assert poller.deliver(handler) == []
    assert (handler.runs, len(poller.dead_letters()), read_counts()) == ([], 2, (0, 1))


def test_work_that_kills_every_worker_is_dead_lettered_with_a_reason(
    poller: SqsPoller, handler: RecordingHandler
) -> None:
    # Given
    poller.add("a")
    for _ in range(JOBS.attempts):
        batch = poller.batch()
        with pytest.raises(Killed):
            poller.deliver(die, batch)
        poller.wait(batch)
    # When
    assert poller.deliver(handler) == []
    # Then
    ((_, reason),) = poller.dead_letters()
    assert reason == "after 3 attempts: no attempt ended"
    assert (handler.runs, read_counts()) == ([], (0, 1))


def test_poison_taken_over_after_its_lease_is_counted_once(poller: SqsPoller) -> None:
    poller.add("a")
    batch = poller.batch()

    def sleep(job: Job, claim: Claim) -> None:
        poller.clock.seconds += 60
        poller.deliver(raise_poison, batch)
        raise_poison(job, claim)

    assert poller.deliver(sleep, batch) == [batch[0]["messageId"]]
    assert (read_counts(), len(poller.dead_letters())) == ((0, 1), 1)
