"""The worker of all dead-letter queues: stores each dead letter in DynamoDB.

A dead letter leaves its dead-letter queue once it is stored. While DynamoDB is down, dead letters wait in SQS.
"""

from typing import Any

from chalicelib.core.queueing import wiring
from chalicelib.core.queueing.dead_letters import ATTEMPTS, LETTER_ID, REASON, DeadLetter, id_of
from chalicelib.core.queueing.queues import DEAD_SUFFIX
from chalicelib.core.runtime import deadline, logs, settings

#: The name of the function.
NAME = "deadletters"
#: The reason of a message that SQS itself moved to the dead-letter queue.
_BY_SQS = "SQS gave it up: no attempt ended with an answer"


def store(event: Any) -> dict[str, Any]:
    """Store the dead letters of *event*, each once. Failed ones are delivered again."""
    with deadline.bind(event.context):
        records = event.to_dict()["Records"]
        failed = [record["messageId"] for record in records if not _stored(record)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _stored(record: dict[str, Any]) -> bool:
    with logs.invocation("deadLetter") as line:
        line.add(messageId=record["messageId"])
        try:
            letter = _letter(record)
            line.add(queue=letter.queue, letterId=letter.id, requestId=letter.caused_by, why=letter.reason)
            wiring.dead_letters().store(letter)
        except Exception as error:  # noqa: BLE001 # the outermost edge of a worker: SQS delivers the message again
            logs.failed("dead_letter_not_stored", error)
            return False
        line.count("deadLettersStored")
    return True


def _letter(record: dict[str, Any]) -> DeadLetter:
    attributes = {name: value["stringValue"] for name, value in record["messageAttributes"].items()}
    by_sqs = id_of(int(record["attributes"]["SentTimestamp"]), record["messageId"])
    return DeadLetter(
        queue=_queue(record["eventSourceARN"]),
        id=attributes.get(LETTER_ID, by_sqs),
        body=record["body"],
        reason=attributes.get(REASON, _BY_SQS),
        attempts=int(attributes[ATTEMPTS]) if ATTEMPTS in attributes else None,
    )


def _queue(arn: str) -> str:
    """Return the queue of the dead-letter queue *arn*."""
    stage = settings.load(settings.HoldfastSettings).stage
    return arn.rpartition(":")[2].removeprefix(f"holdfast-{stage}-").removesuffix(DEAD_SUFFIX)
