"""Dead letters are read without removal, sent back with their reason, and purged."""

import json
from typing import Any

import pytest

from chalicelib.core.queueing import dead_letters
from chalicelib.core.queueing.dead_letters import DeadLetterQueue
from tests.support.queue import JOBS, PREFIX, SqsPoller, raise_poison


@pytest.fixture
def box(poller: SqsPoller, sqs: Any) -> DeadLetterQueue:
    """The dead-letter queue, with the dead letters of three jobs."""
    poller.add("a", "b", "c")
    poller.deliver(raise_poison)
    return DeadLetterQueue(sqs, PREFIX, JOBS)


@pytest.fixture
def sqs(poller: SqsPoller) -> Any:
    from chalicelib.core.stores import clients  # noqa: PLC0415

    return clients.aws("sqs")


def jobs(box: DeadLetterQueue) -> list[str]:
    return sorted(json.loads(letter.body)["jobId"] for letter in box.letters)


def test_held_dead_letters_are_released_unchanged(box: DeadLetterQueue) -> None:
    seen: list[int] = []
    for _ in range(2):
        with box.held(60, on_letters=seen.append):
            assert jobs(box) == ["a", "b", "c"]
            (first,) = (letter for letter in box.letters if "nobody can do a" in letter.reason)
            assert (first.caused_by, first.age_seconds < 60) == ("cause of a", True)
    assert sum(seen) == 6
    assert box.letters == []


def test_no_more_dead_letters_are_held_than_asked(box: DeadLetterQueue) -> None:
    with box.held(60, most=2):
        assert len(box.letters) == 2


def test_a_dead_letter_is_sent_back_with_its_reason(box: DeadLetterQueue, poller: SqsPoller) -> None:
    with box.held(60):
        for letter in box.letters:
            box.send_back(letter)
    records = poller.batch()
    assert sorted(record["messageAttributes"]["reason"]["stringValue"] for record in records) == [
        "nobody can do a",
        "nobody can do b",
        "nobody can do c",
    ]
    assert poller.dead_letters() == []


def test_purging_deletes_dead_letters_or_waiting_messages(box: DeadLetterQueue, poller: SqsPoller) -> None:
    poller.add("waiting")
    box.purge()
    assert (poller.dead_letters(), poller.left()) == ([], 1)
    box.purge(waiting=True)
    assert poller.left() == 0


@pytest.mark.parametrize("body", ["no JSON", "[1]", "{}"])
def test_a_dead_letter_of_any_text_is_read(poller: SqsPoller, sqs: Any, body: str) -> None:
    sqs.send_message(QueueUrl=PREFIX + JOBS.dead_letters, MessageBody=body)
    box = DeadLetterQueue(sqs, PREFIX, JOBS)
    with box.held(60):
        (letter,) = box.letters
    assert (letter.body, letter.caused_by) == (body, "")
    assert letter.reason.startswith("SQS gave it up")


def test_the_prefix_of_a_stage_is_found_by_its_first_queue(poller: SqsPoller, sqs: Any) -> None:
    assert dead_letters.prefix_of(sqs, "unit", [JOBS]) == sqs.get_queue_url(QueueName="holdfast-unit-jobs")[
        "QueueUrl"
    ].removesuffix("jobs")
