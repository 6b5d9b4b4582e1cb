"""A message that cannot succeed is buried with its reason, and may be sent back."""

import json
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.consumer import Poison
from tests.support.queue import (
    JOBS,
    Job,
    Killed,
    RecordingHandler,
    SqsPoller,
    break_down,
    counted,
    die,
    no_table,
    refuse,
)


def test_poison_is_buried_at_once_with_its_reason(poller: SqsPoller) -> None:
    poller.add("a")
    assert poller.deliver(refuse) == []
    ((body, reason),) = poller.letters()
    assert reason == "nobody can do a"
    assert json.loads(body) == {"schema": 1, "causedBy": "cause of a", "jobId": "a"}
    assert (counted(), poller.left()) == ((0, 1), 0)


def test_poison_is_counted_once_and_still_buried_if_its_worker_died_in_between(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller.add("a")
    batch = poller.batch()
    with monkeypatch.context() as dying:
        dying.setattr(poller.mail, "dead_letter", die)
        with pytest.raises(Killed):
            poller.deliver(refuse, batch)
    poller.wait(batch)
    assert poller.deliver(handler) == []
    assert poller.letters()[0][1] == "nobody can do a"
    assert (handler.runs, counted()) == ([], (0, 1))


def test_poison_is_buried_later_if_the_dead_letter_queue_is_out_of_reach(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller.add("a")
    batch = poller.batch()

    def unreachable(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as down:
        down.setattr(poller.mail, "dead_letter", unreachable)
        assert poller.deliver(refuse, batch) == [batch[0]["messageId"]]
    poller.wait(batch)
    assert poller.deliver(handler) == []
    assert len(poller.letters()) == 1
    assert counted() == (0, 1)


@pytest.mark.parametrize("reason", ["a \x00 \x1b[31m quote", "half of one: \ud800", "x" * 5_000, ""])
def test_a_reason_may_quote_anything(poller: SqsPoller, reason: str) -> None:
    def quote(job: Job, claim: Claim) -> None:
        raise Poison(reason)

    poller.add("a")
    assert poller.deliver(quote) == []
    ((_, said),) = poller.letters()
    assert said
    assert said.isprintable()
    assert len(said) <= 1_000


@pytest.mark.parametrize(
    ("handle", "why"),
    [(no_table, "The yard is locked."), (break_down, "ZeroDivisionError")],
)
def test_the_last_attempt_buries_with_what_went_wrong_last(poller: SqsPoller, handle: Any, why: str) -> None:
    poller.add("a")
    for _ in range(JOBS.attempts):
        assert poller.letters() == []
        batch = poller.batch()
        failed = poller.deliver(handle, batch)
        if failed:
            poller.wait(batch)
    assert failed == []
    assert [reason for _, reason in poller.letters()] == [f"after 3 attempts: {why}"]
    assert (counted(), poller.left()) == ((0, 1), 0)


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
def test_what_cannot_be_read_is_buried_with_why_and_without_what(
    poller: SqsPoller, handler: RecordingHandler, body: str, said: str
) -> None:
    poller.drop(body)
    assert poller.deliver(handler) == []
    ((buried, reason),) = poller.letters()
    assert buried == body
    assert said in (reason or "")
    assert "4711" not in (reason or "")
    assert (handler.runs, counted()) == ([], (0, 1))


def test_each_unreadable_message_is_counted_once(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.drop("same", "same")
    batch = poller.batch()
    poller.deliver(handler, batch)
    poller.deliver(handler, batch)
    assert counted() == (0, 2)


def test_a_letter_that_is_sent_back_is_worked_on_again(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given
    poller.add("a")
    poller.deliver(refuse)
    # When
    assert poller.send_back() == 1
    assert poller.deliver(handler) == []
    # Then it is completed, and that it once failed is still known
    assert [claim.taken_over for claim in handler.runs] == [True]
    assert (counted(), poller.letters()) == ((1, 1), [])
    # And a copy that comes late changes nothing
    poller.add("a")
    poller.drop(Job(job_id="a").model_dump_json(), reason="nobody can do a")
    poller.deliver(handler)
    assert (counted(), len(handler.runs)) == ((1, 1), 1)


def test_a_letter_that_fails_again_is_buried_again_and_runs_no_further(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a letter sent back whose worker dies between counting and burying it again
    poller.add("a")
    poller.deliver(refuse)
    poller.send_back()
    batch = poller.batch()
    with monkeypatch.context() as dying:
        dying.setattr(poller.mail, "dead_letter", die)
        with pytest.raises(Killed):
            poller.deliver(refuse, batch)
    assert counted() == (0, 2)
    # When it comes again, twice
    poller.wait(batch)
    batch = poller.batch()
    poller.deliver(handler, batch)
    poller.deliver(handler, batch)
    # Then it is only buried
    assert (handler.runs, counted()) == ([], (0, 2))
    assert {reason for _, reason in poller.letters()} == {"nobody can do a"}


def test_of_two_letters_sent_back_at_once_one_is_worked_on(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two letters of one work, and the second's worker a moment behind
    poller.add("a")
    batch = poller.batch()
    poller.deliver(refuse, batch)
    poller.deliver(refuse, batch)
    assert poller.send_back() == 2
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
    assert (len(handler.runs), counted()) == (1, (1, 1))


def test_a_message_of_its_own_does_not_revive_what_was_given_up(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a")
    poller.deliver(refuse)
    poller.add("a")
    assert poller.deliver(handler) == []
    assert (handler.runs, len(poller.letters()), counted()) == ([], 2, (0, 1))


def test_a_letter_that_sqs_buried_itself_runs_when_it_is_sent_back(
    poller: SqsPoller, handler: RecordingHandler
) -> None:
    # Given a message that killed its worker each time, so that nothing was ever said of it
    poller.add("a")
    for _ in range(JOBS.attempts + 1):
        batch = poller.batch()
        with pytest.raises(Killed):
            poller.deliver(die, batch)
        poller.wait(batch)
    # When it comes once more
    assert poller.deliver(handler) == []
    # Then
    assert (len(handler.runs), counted()) == (1, (1, 0))


def test_poison_that_took_longer_than_its_lease_and_was_taken_over_is_not_counted_twice(poller: SqsPoller) -> None:
    poller.add("a")
    batch = poller.batch()

    def sleep(job: Job, claim: Claim) -> None:
        poller.clock.seconds += 60
        poller.deliver(refuse, batch)
        refuse(job, claim)

    assert poller.deliver(sleep, batch) == [batch[0]["messageId"]]
    assert (counted(), len(poller.letters())) == ((0, 1), 1)
