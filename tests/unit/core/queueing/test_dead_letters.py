"""Stored dead letters are listed in order, counted, sent back with their reason, and deleted."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from time import time
from typing import Any

import pytest

from chalicelib.core.queueing import dead_letters, wiring
from chalicelib.core.queueing.dead_letters import DeadLetters, id_of
from chalicelib.core.queueing.queues import LARGEST_MESSAGE_BYTES, RETENTION_SECONDS
from chalicelib.core.queueing.redrive import Redrive
from chalicelib.core.stores import clients
from tests.support.queue import JOBS, SqsPoller, dead_letter

NOW_MS = int(time() * 1000)


@pytest.fixture
def letters(dynamodb: Any) -> DeadLetters:
    return wiring.dead_letters()


@pytest.fixture
def redriving(letters: DeadLetters, poller: SqsPoller) -> Redrive:
    return Redrive(letters, poller.sender, JOBS)


def put(letters: DeadLetters, count: int) -> list[str]:
    """Store dead letters, and return their ids, the oldest first."""
    ids = [id_of(NOW_MS - 1000 + number, f"{number:x}") for number in range(count)]
    for place, letter_id in enumerate(reversed(ids)):
        letters.store(replace(dead_letter(f"job-{place}", f"reason {place}"), id=letter_id))
    return ids


def test_pages_are_oldest_first_and_follow_each_other(letters: DeadLetters) -> None:
    ids = put(letters, 5)
    letters.store(dead_letter("x", queue="other"))
    assert [letter.id for letter in letters.page(JOBS.name, 2)] == ids[:2]
    assert [letter.id for letter in letters.page(JOBS.name, 9, ids[1])] == ids[2:]
    assert letters.page(JOBS.name, 9, ids[4]) == []


def test_page_continues_where_dynamodb_ends_an_answer(letters: DeadLetters) -> None:
    big = "x" * LARGEST_MESSAGE_BYTES
    for number in range(9):
        letters.store(dead_letter(f"{number}", body=big))
    assert len(letters.page(JOBS.name, 9)) == 9
    assert letters.count(JOBS.name) == 9


def test_stored_dead_letter_equals_the_one_given(letters: DeadLetters) -> None:
    given = dead_letter("a")
    letters.store(given)
    (found,) = letters.page(JOBS.name, 9)
    assert (found, found.caused_by) == (given, "cause of a")
    assert abs((found.dead_at - datetime.now(UTC)).total_seconds()) < 60


@pytest.mark.parametrize("body", ["no JSON", "[1]", "{}", ""])
def test_dead_letter_of_any_text_has_no_cause(letters: DeadLetters, body: str) -> None:
    letters.store(dead_letter("a", body=body))
    (found,) = letters.page(JOBS.name, 9)
    assert (found.body, found.caused_by) == (body, "")


def test_copy_of_a_dead_letter_is_kept_once(letters: DeadLetters) -> None:
    given = dead_letter("a")
    letters.store(given)
    letters.store(replace(given, reason="another"))
    assert [letter.reason for letter in letters.page(JOBS.name, 9)] == ["why"]


def test_expired_dead_letter_is_gone_before_dynamodb_removes_it(letters: DeadLetters) -> None:
    ids = put(letters, 1)
    later = DeadLetters(clients.sorted_table(dead_letters.TABLE), lambda: NOW_MS / 1000 + RETENTION_SECONDS)
    assert (later.page(JOBS.name, 9), later.count(JOBS.name), later.named(JOBS.name, ids)) == ([], 0, [])
    assert list(later.each(JOBS.name)) == []
    assert len(letters.page(JOBS.name, 9)) == 1
    (item,) = clients.aws("dynamodb").scan(TableName="holdfast-unit-dead-letters")["Items"]
    assert abs(int(item["ttl"]["N"]) - (NOW_MS / 1000 + RETENTION_SECONDS)) < 10


def test_count_ends_at_its_limit(letters: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    put(letters, 5)
    monkeypatch.setattr(dead_letters, "COUNTED", 3)
    assert letters.count(JOBS.name) == 3


def test_named_dead_letters_are_found_once_each(letters: DeadLetters) -> None:
    ids = put(letters, 3)
    found = letters.named(JOBS.name, [ids[2], ids[0], ids[2], "unknown"])
    assert [letter.id for letter in found] == [ids[0], ids[2]]


def test_a_dead_letter_is_sent_back_with_its_reason(redriving: Redrive, poller: SqsPoller) -> None:
    ids = put(redriving.letters, 2)
    assert redriving.send_back(redriving.letters.named(JOBS.name, ids[:1])) == (1, False)
    (record,) = poller.batch()
    assert json.loads(record["body"])["jobId"] == "job-1"
    assert {name: value["stringValue"] for name, value in record["messageAttributes"].items()} == {"reason": "reason 1"}
    assert [letter.id for letter in redriving.letters.page(JOBS.name, 9)] == ids[1:]


def test_all_dead_letters_are_sent_back_in_steps(redriving: Redrive, poller: SqsPoller) -> None:
    put(redriving.letters, 25)
    steps: list[int] = []

    def go_on(number: int) -> bool:
        steps.append(number)
        return True

    assert redriving.send_all_back(go_on) == (25, False)
    assert (steps, poller.left(), redriving.letters.count(JOBS.name)) == ([10, 10, 5], 25, 0)


def test_message_that_dies_again_during_a_redrive_stays(redriving: Redrive) -> None:
    put(redriving.letters, 11)

    def die_again(_: int) -> bool:
        later = id_of(int(time() * 1000) + 60_000, "again")
        redriving.letters.store(replace(dead_letter("again"), id=later))
        return True

    assert redriving.send_all_back(die_again) == (11, False)
    # A message dead-lettered in the first step is not sent back in the second
    assert redriving.letters.count(JOBS.name) == 2


@pytest.mark.parametrize("act", ["send_all_back", "purge"])
def test_work_without_time_left_ends_and_says_that_there_is_more(redriving: Redrive, act: str) -> None:
    put(redriving.letters, 11)
    assert getattr(redriving, act)(lambda _: False) == (10, True)
    assert getattr(redriving, act)(lambda _: False) == (1, False)


def test_large_dead_letters_are_sent_back_in_several_calls(redriving: Redrive, poller: SqsPoller) -> None:
    for number in range(3):
        redriving.letters.store(dead_letter(f"{number}", body="é" * (LARGEST_MESSAGE_BYTES // 2 - 10_000)))
    assert redriving.send_all_back() == (3, False)
    assert poller.left() == 3


def test_purging_deletes_dead_letters_and_sends_none(redriving: Redrive, poller: SqsPoller) -> None:
    put(redriving.letters, 12)
    poller.add("waiting")
    assert redriving.purge() == (12, False)
    assert (redriving.letters.count(JOBS.name), poller.left()) == (0, 1)
    poller.sender.purge(JOBS)
    assert poller.left() == 0
