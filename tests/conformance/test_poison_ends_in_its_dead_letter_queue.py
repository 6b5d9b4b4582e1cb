"""What the projector cannot carry, and what it does not look at, keeps nobody waiting."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.core.queueing.dead_letters import DeadLetterQueue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.models import Change, key
from chalicelib.core.records.queues import REPAIR
from infra.local.stack import Stack
from tests.support.client import Client, told
from tests.support.records import DOC, KIND, RECORDED, Followed, paused, project, said
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

NAMELESS = {name: value for name, value in DOC.items() if name != "applicantName"}


def test_a_poison_record_lets_the_others_pass_and_waits_to_be_repaired(
    stack: Stack, admin: Client, followed: Followed
) -> None:
    # Given records that no list can be sorted by: one alone in its batch, one in the middle of another
    counted = _counted(admin)
    with paused(stack, "repair"):
        poison = [followed.make(doc=NAMELESS)]
        others = [followed.make()]
        followed.caught_up(others)
        with paused(stack, "project"):
            others.append(followed.make())
            poison.append(followed.make(doc=NAMELESS))
            others.append(followed.make())
        others.append(followed.make())
        # Then the others are carried, and these stand in the queue
        followed.caught_up(others)
        assert followed.behind(poison) == (set(poison), set())
        # When they have been tried as often as they may be, which takes half an hour
        _receive(stack, poison, REPAIR.attempts - 1)
    # Then they are buried, with why
    eventually(lambda: _counted(admin) == (counted[0], counted[1] + 2))
    box = DeadLetterQueue(stack.client("sqs"), stack.environment["QUEUES_URL_PREFIX"], REPAIR)
    with box.held(60):
        letters = [letter for letter in box.letters if json.loads(letter.body).get("id") in poison]
        assert [letter.reason for letter in letters] == [f"after {REPAIR.attempts} attempts: KeyError"] * 2
        assert {letter.caused_by for letter in letters} == {followed.records.get(KIND, one).operation for one in poison}
        # And when the records are whole, and their letters sent back, they are shown
        for record_id in poison:
            change = Change(record_id, 1, {"applicantName": "Ann"})
            followed.records.commit(KIND, change, by="bob", operation=f"cure-{record_id}")
        followed.caught_up(poison)
        followed.copies.delete_many({"_id": {"$in": poison}})
        for letter in letters:
            box.send_back(letter)
    followed.caught_up(poison)
    eventually(lambda: _counted(admin) == (counted[0] + 2, counted[1] + 2))


def _counted(admin: Client) -> tuple[int, int]:
    found: dict[str, Any] = told(admin.get("/api/admin/queue-stats"))["queues"]["repair"]
    return found["completed"], found["failed"]


def _receive(stack: Stack, record_ids: Sequence[str], times: int) -> None:
    """Receive what is to be repaired, which is these records, so many times, giving it back at once."""
    sqs, url = stack.client("sqs"), stack.environment["QUEUES_URL_PREFIX"] + REPAIR.name
    wanted = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}
    mail = Sender(sqs, stack.environment["QUEUES_URL_PREFIX"])
    eventually(lambda: mail.depth(REPAIR).pending == len(record_ids))
    for _ in range(times):
        bodies = [json.loads(message["Body"]) for message in sqs.receive_message(**wanted)["Messages"]]
        assert {body["id"] for body in bodies} == set(record_ids)


def test_what_dynamodb_takes_away_is_left_where_it_is_shown(stack: Stack, followed: Followed) -> None:
    # Given
    record_id = followed.make()
    followed.caught_up([record_id])
    copy = followed.shown(record_id)
    removed = said(RECORDED[3], None, followed.image(record_id))
    assert removed["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    # When its time to live is over, or an operator takes it away, and others were changed before and after
    others = [followed.make() for _ in range(2)]
    project(stack, [said(RECORDED[0], followed.image(others[0])), removed])
    followed.table.delete(key(KIND, record_id), when="", values={})
    followed.change(others[1])
    # Then the others are carried, and this one stands as it was, until the comparison finds it
    followed.caught_up(others, deadline_seconds=20)
    assert followed.shown(record_id) == copy
    followed.copies.delete_one({"_id": record_id})
