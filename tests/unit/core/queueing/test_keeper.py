"""The worker of dead-letter queues stores each dead letter once; a dead letter that is not stored comes again."""

from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import keeper, wiring
from chalicelib.core.queueing.dead_letters import DeadLetter, DeadLetters
from chalicelib.core.stores import clients
from tests.support.queue import JOBS, PREFIX, SqsPoller, raise_poison, record, sqs_event
from tests.unit.conftest import Printed

ARN = f"arn:aws:sqs:us-east-1:123456789012:holdfast-unit-{JOBS.dead_letters}"


def dead_records(poller: SqsPoller) -> list[dict[str, Any]]:
    """Return the messages of the dead-letter queue as the records of a Lambda event; they stay in the queue."""
    answer = clients.aws("sqs").receive_message(
        QueueUrl=PREFIX + JOBS.dead_letters,
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return [
        {
            **record("a", message["MessageId"]),
            "body": message["Body"],
            "eventSourceARN": ARN,
            "attributes": message["Attributes"],
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in message.get("MessageAttributes", {}).items()
            },
        }
        for message in answer.get("Messages", [])
    ]


def stored() -> list[DeadLetter]:
    return wiring.dead_letters().page(JOBS.name, 50)


def test_dead_letter_is_stored_with_reason_and_attempts(poller: SqsPoller, printed: Printed) -> None:
    poller.add("a")
    poller.deliver(raise_poison)
    assert keeper.store(sqs_event(dead_records(poller))) == {"batchItemFailures": []}
    (letter,) = stored()
    assert (letter.reason, letter.attempts, letter.caused_by) == ("nobody can do a", 1, "cause of a")
    line = printed.lines()[-1]
    assert (line["kind"], line["queue"], line["letterId"]) == ("deadLetter", JOBS.name, letter.id)
    assert (line["requestId"], line["why"], line["deadLettersStored"]) == ("cause of a", "nobody can do a", 1)


def test_copies_of_a_dead_letter_are_stored_once(poller: SqsPoller) -> None:
    # Given a message delivered twice, and dead-lettered twice
    poller.add("a")
    batch = poller.batch()
    for _ in range(2):
        poller.deliver(raise_poison, batch)
    records = dead_records(poller)
    assert len({found["messageId"] for found in records}) == 2
    # When, also in another order
    for given in (records, records[::-1]):
        keeper.store(sqs_event(given))
    # Then
    assert len(stored()) == 1


def test_work_that_dies_twice_has_two_dead_letters(poller: SqsPoller) -> None:
    poller.add("a")
    poller.deliver(raise_poison)
    keeper.store(sqs_event(dead_records(poller)))
    poller.redrive()
    poller.deliver(raise_poison)
    keeper.store(sqs_event(dead_records(poller)))
    assert len(stored()) == 2


def test_dead_letter_of_sqs_is_stored_under_its_message_id(poller: SqsPoller) -> None:
    clients.aws("sqs").send_message(QueueUrl=PREFIX + JOBS.dead_letters, MessageBody="no JSON")
    records = dead_records(poller)
    for _ in range(2):
        assert keeper.store(sqs_event(records)) == {"batchItemFailures": []}
    (letter,) = stored()
    assert letter.reason.startswith("SQS gave it up")
    assert (letter.id.endswith(records[0]["messageId"]), letter.attempts, letter.body) == (True, None, "no JSON")


def test_dead_letter_that_is_not_stored_comes_again_and_others_are_stored(
    poller: SqsPoller, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    poller.add("a", "b", "c")
    poller.deliver(raise_poison)
    store = DeadLetters.store

    def failing(letters: DeadLetters, letter: DeadLetter) -> None:
        if letter.caused_by == "cause of b":
            raise Unavailable
        store(letters, letter)

    monkeypatch.setattr(DeadLetters, "store", failing)
    records = dead_records(poller)
    (failed,) = (found["messageId"] for found in records if "cause of b" in found["body"])
    assert keeper.store(sqs_event(records)) == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert sorted(letter.caused_by for letter in stored()) == ["cause of a", "cause of c"]


def test_claim_of_an_earlier_version_gives_a_dead_letter_without_attempts(
    poller: SqsPoller, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a claim whose result names no time and no attempts
    poller.add("a")
    batch = poller.batch()
    poller.deliver(raise_poison, batch)
    poller.dead_letters()
    clients.table("coordination").update(
        f"claim#{JOBS.name}/a",
        "SET #result = :old",
        when="attribute_exists(pk)",
        values={":old": f"failed {batch[0]['messageId']} nobody can do a"},
        names={"#result": "result"},
    )
    # When
    poller.deliver(raise_poison, batch)
    keeper.store(sqs_event(dead_records(poller)))
    # Then
    (letter,) = stored()
    assert (letter.reason, letter.attempts) == ("nobody can do a", None)
