"""A message that cannot succeed ends in its dead-letter queue with its reason, and can be sent back.

Shown with an extra queue beside the deployed queues, and with records that cannot be projected.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.models import Change
from chalicelib.core.records.queues import REPAIR
from infra.local.stack import Stack
from infra.operations import queues as command
from tests.support.client import Client, json_of
from tests.support.extra_worker import ExtraWorker
from tests.support.gateway import event
from tests.support.records import DOC, KIND, TrackedRecords, paused
from tests.support.stack import STAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: A function may first have to start, and a message to come again.

NAMELESS = {name: value for name, value in DOC.items() if name != "applicantName"}


def test_a_poison_record_is_dead_lettered_and_others_are_projected(
    stack: Stack, admin: Client, tracked: TrackedRecords
) -> None:
    # Given records that cannot be projected: alone in a batch, and in the middle of another batch
    counted = _counted(admin)
    with paused(stack, "repair"):
        poison = [tracked.make(doc=NAMELESS)]
        others = [tracked.make()]
        tracked.wait_until_projected(others)
        with paused(stack, "project"):
            others.append(tracked.make())
            poison.append(tracked.make(doc=NAMELESS))
            others.append(tracked.make())
        others.append(tracked.make())
        # Then the other records are projected, and the poison records are in the repair queue
        tracked.wait_until_projected(others)
        assert tracked.ids_behind(poison) == (set(poison), set())
        # When all attempts but one are used up, which would take half an hour
        _attempt(stack, poison, REPAIR.attempts - 1)
    # Then the messages are dead-lettered with their reason
    eventually(lambda: _counted(admin) == (counted[0], counted[1] + 2))
    letters = eventually(lambda: found if len(found := _letters_of(admin, poison)) == 2 else None)
    assert [letter["reason"] for letter in letters] == [f"after {REPAIR.attempts} attempts: KeyError"] * 2
    assert [letter["attempts"] for letter in letters] == [REPAIR.attempts] * 2
    assert {letter["causedBy"] for letter in letters} == {tracked.records.get(KIND, one).operation for one in poison}
    # And when the records are corrected, and their dead letters sent back, the records are projected
    for record_id in poison:
        change = Change(record_id, 1, {"applicantName": "Ann"})
        tracked.records.commit(KIND, change, by="bob", operation=f"cure-{record_id}")
    tracked.wait_until_projected(poison)
    tracked.copies.delete_many({"_id": {"$in": poison}})
    wanted = [letter["id"] for letter in letters]
    answer = json_of(admin.post("/api/admin/queues/repair/dead/redrive", {"ids": wanted}))
    assert answer == {"redriven": 2, "missing": [], "more": False}
    tracked.wait_until_projected(poison)
    eventually(lambda: _counted(admin) == (counted[0] + 2, counted[1] + 2))


def _letters_of(admin: Client, records: Sequence[str]) -> list[dict[str, Any]]:
    found = json_of(admin.get("/api/admin/queues/repair/dead?limit=200"))["items"]
    return [letter for letter in found if json.loads(letter["body"]).get("id") in records]


def _counted(admin: Client) -> tuple[int, int]:
    found: dict[str, Any] = json_of(admin.get("/api/admin/queue-stats"))["queues"]["repair"]
    return found["completed"], found["failed"]


def _attempt(stack: Stack, record_ids: Sequence[str], times: int) -> None:
    """Let the deployed function attempt the repair messages of exactly these records so many times, all in vain."""
    sqs, url = stack.client("sqs"), stack.environment["QUEUES_URL_PREFIX"] + REPAIR.name
    mail = Sender(sqs, stack.environment["QUEUES_URL_PREFIX"])
    eventually(lambda: mail.depth(REPAIR).pending == len(record_ids))
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    assert {json.loads(message["Body"])["id"] for message in found} == set(record_ids)
    # Without a receipt, the function cannot hide the messages for a pause, and the next attempt follows at once.
    records = [_sqs_record(message["Body"], message["MessageId"]) for message in found]
    for _ in range(times):
        answer = stack.client("lambda").invoke(
            FunctionName=f"holdfast-{STAGE}-repair", Payload=json.dumps({"Records": records})
        )
        failed = json.loads(answer["Payload"].read())["batchItemFailures"]
        assert len(failed) == len(record_ids)


def _sqs_record(body: str, message_id: str) -> dict[str, Any]:
    record: dict[str, Any] = event("queue")["Records"][0]
    return {**record, "body": body, "messageId": message_id, "receiptHandle": "none"}


def test_a_poison_message_is_dead_lettered_and_can_be_redriven(
    extra: ExtraWorker, running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given messages that can never succeed, and a malformed message
    completed, failed = extra.read_counts()
    for job in ("x", "y", "z"):
        extra.send(job, poison=True)
    extra.send("w", unheardOf="4711")
    eventually(lambda: len(extra.letters) == 4)
    assert extra.read_counts() == (completed, failed + 4)
    # When an operator looks
    assert command.main(["peek", extra.queue.name, "--json", *running]) == 0
    letters = {json.loads(letter["body"])["jobId"]: letter for letter in _json_lines(capsys)}
    assert letters["x"]["reason"] == "x is poison"
    assert letters["x"]["causedBy"] == "cause-of-x"
    assert "unheardOf" in letters["w"]["reason"]
    assert "4711" not in letters["w"]["reason"]
    # Then every dead letter is still there for the next look
    assert command.main(["peek", extra.queue.name, "--limit", "3", *running]) == 0
    assert "3 of 4 dead letters" in capsys.readouterr().out
    # When the cause is fixed and a dead letter is sent back
    extra.table.put({"pk": f"cure#{extra.queue.name}"}, when="")
    assert command.main(["redrive", extra.queue.name, "--id", letters["x"]["id"], *running]) == 0
    assert "1 dead letters sent back" in capsys.readouterr().out
    eventually(lambda: extra.effects().get("x"))
    # And when the others are sent back
    assert command.main(["redrive", extra.queue.name, *running]) == 0
    assert "3 dead letters sent back" in capsys.readouterr().out
    eventually(lambda: extra.read_counts() == (completed + 3, failed + 5))
    assert {job: extra.effects()[job] for job in "xyz"} == {"x": 1, "y": 1, "z": 1}
    # Then the malformed message is dead-lettered again, and can be purged
    eventually(lambda: len(extra.letters) == 1)
    assert command.main(["purge", extra.queue.name, "--yes", *running]) == 0
    assert extra.letters == []


def _json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_message_dead_lettered_by_sqs_can_be_sent_back(
    extra: ExtraWorker, running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a dead letter without a reason, as of SQS's redrive policy
    body = {"schema": 1, "causedBy": "someone", "jobId": "reasonless"}
    url = extra.prefix + extra.queue.dead_letters
    extra.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    eventually(lambda: extra.letters)
    assert command.main(["peek", extra.queue.name, *running]) == 0
    assert "SQS gave it up" in capsys.readouterr().out
    # When, then
    assert command.main(["redrive", extra.queue.name, *running]) == 0
    eventually(lambda: extra.effects().get("reasonless") == 1)


def test_a_dead_letter_redriven_by_aws_runs(extra: ExtraWorker) -> None:
    # Given a dead letter after AWS's own redrive, before it was stored: the redrive keeps a message's attributes
    extra.table.update(f"cure#{extra.queue.name}", "REMOVE x", when="", values={})
    extra.sqs.send_message(
        QueueUrl=extra.prefix + extra.queue.name,
        MessageBody=json.dumps({"schema": 1, "causedBy": "console", "jobId": "by-console"}),
        MessageAttributes={"reason": {"DataType": "String", "StringValue": "it was poison"}},
    )
    eventually(lambda: extra.effects().get("by-console") == 1)
