"""A queue of jobs on moto's SQS, delivered like Lambda: messages not reported as failed are deleted."""

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Any

from chalice.app import SQSEvent

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Poison
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.queueing.dead_letters import DeadLetter, id_of
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.sender import Sender
from tests.support.gateway import Context, event

JOBS = Queue("jobs", visibility_seconds=60, attempts=3, batch_size=10, concurrency=2, timeout_seconds=50)
PREFIX = "https://sqs.us-east-1.amazonaws.com/123456789012/holdfast-unit-"

Record = dict[str, Any]
Handle = Callable[["Job", Claim], None]


class Job(Message):
    """A job to do once."""

    job_id: str

    @property
    def work_id(self) -> str:
        return self.job_id


class Killed(BaseException):
    """The process died: no code of ours catches the error, as no code would run."""


class Clock:
    """The time of claims; the test moves the time."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


class SqsPoller:
    """SQS and the poller in front of the function."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client, self.clock, self.sender = client, clock, Sender(client, PREFIX)
        #: The declaration by which functions work.
        self.queue = JOBS
        #: Every requested change of a message's visibility, in seconds.
        self.postponed: list[int] = []
        for name in (JOBS.name, JOBS.dead_letters):
            client.create_queue(QueueName=f"holdfast-unit-{name}", Attributes={"VisibilityTimeout": "60"})
        client.meta.events.register_first(
            "provide-client-params.sqs.ChangeMessageVisibility", self._note, unique_id="poller"
        )

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self.postponed.append(params["VisibilityTimeout"])

    def put_bodies(self, *bodies: str, reason: str | None = None) -> None:
        """Put *bodies* into the queue unchanged; with *reason*, like redriven dead letters."""
        more = {"MessageAttributes": _attributes(reason)} if reason is not None else {}
        for body in bodies:
            self._client.send_message(QueueUrl=PREFIX + JOBS.name, MessageBody=body, **more)

    def add(self, *jobs: str, copies: int = 1) -> None:
        """Send *copies* messages of each job."""
        for job in jobs:
            for _ in range(copies):
                self.sender.send(JOBS, Job(job_id=job, caused_by=f"cause of {job}"))

    def batch(self) -> list[Record]:
        """Receive the next messages, as the records of a Lambda event."""
        answer = self._client.receive_message(
            QueueUrl=PREFIX + JOBS.name,
            MaxNumberOfMessages=JOBS.batch_size,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [_record(message) for message in answer.get("Messages", [])]

    def deliver(self, handle: Handle, batch: list[Record] | None = None, remaining_ms: int = 50_000) -> list[str]:
        """Run a function on *batch*, or on the next batch; return the message ids reported as failed."""
        batch = self.batch() if batch is None else batch
        answer = run_batch(sqs_event(batch, remaining_ms), self.queue, Job, handle)
        failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        for record in batch:
            if record["messageId"] not in failed:
                self._client.delete_message(QueueUrl=PREFIX + JOBS.name, ReceiptHandle=record["receiptHandle"])
        return failed

    def wait(self, batch: list[Record], seconds: float = 60) -> None:
        """Move the clock, and make the messages of *batch* visible again."""
        self.clock.seconds += seconds
        noted = list(self.postponed)
        for record in batch:
            # Settled messages are gone.
            with suppress(self._client.exceptions.ReceiptHandleIsInvalid):
                self._client.change_message_visibility(
                    QueueUrl=PREFIX + JOBS.name, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
                )
        self.postponed = noted

    def left(self) -> int:
        """Return the number of messages left in the queue."""
        depth = self.sender.depth(JOBS)
        return depth.pending + depth.processing

    def dead_letters(self) -> list[tuple[str, str | None]]:
        """Take every dead letter; return body and reason of each."""
        found = []
        while messages := self._client.receive_message(
            QueueUrl=PREFIX + JOBS.dead_letters, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
                found.append((message["Body"], reason))
                self._client.delete_message(QueueUrl=PREFIX + JOBS.dead_letters, ReceiptHandle=message["ReceiptHandle"])
        return found

    def redrive(self) -> int:
        """Move every dead letter back to the queue with its reason; return their number."""
        dead_letters = self.dead_letters()
        for body, reason in dead_letters:
            self.put_bodies(body, reason=reason)
        return len(dead_letters)


def sqs_event(records: list[Record], remaining_ms: int = 50_000) -> SQSEvent:
    """Return *records* as chalice's event."""
    context: Any = Context(remaining_ms)
    return SQSEvent({"Records": records}, context)


def record(job: str, message_id: str, *, receives: int = 1) -> Record:
    """Return a record without a message in any queue."""
    return _record(
        {
            "MessageId": message_id,
            "ReceiptHandle": f"receipt of {message_id}",
            "Body": Job(job_id=job, caused_by="a test").model_dump_json(),
            "Attributes": {"ApproximateReceiveCount": str(receives)},
        }
    )


def _record(message: dict[str, Any]) -> Record:
    made: Record = copy.deepcopy(event("queue")["Records"][0])
    made |= {"messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"]}
    made["attributes"] |= message["Attributes"]
    # Lambda's events use camelCase.
    made["messageAttributes"] = {
        name: {
            "stringValue": value["StringValue"],
            "dataType": value["DataType"],
            "stringListValues": [],
            "binaryListValues": [],
        }
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return made


def _attributes(reason: str) -> dict[str, Any]:
    return {"reason": {"DataType": "String", "StringValue": reason}}


#: The two counts of a queue.
BOTH = ("completed", "failed")


class RecordingHandler:
    """Does jobs, and records each run."""

    def __init__(self) -> None:
        self.runs: list[Claim] = []
        self.done: Counter[str] = Counter()

    def __call__(self, job: Job, claim: Claim) -> None:
        self.runs.append(claim)
        self.done[job.job_id] += 1


def read_counts() -> tuple[int, int]:
    """Return the numbers of completed and of failed jobs."""
    found = coordination_wiring.counts().read([JOBS.name], BOTH)[JOBS.name]
    return found["completed"], found["failed"]


def raise_poison(job: Job, claim: Claim) -> None:
    raise Poison(f"nobody can do {job.job_id}")


def die(*_: Any, **__: Any) -> Any:
    raise Killed


def raise_unavailable(job: Job, claim: Claim) -> None:
    raise Unavailable("The yard is locked.")


def raise_unexpected_error(job: Job, claim: Claim) -> None:
    raise ZeroDivisionError("secret 4711")


def dead_letter(name: str, reason: str = "why", *, body: str | None = None, queue: str = JOBS.name) -> DeadLetter:
    """Return a dead letter of the present, whose id ends with *name*."""
    text = Job(job_id=name, caused_by=f"cause of {name}").model_dump_json() if body is None else body
    return DeadLetter(queue=queue, id=id_of(int(time() * 1000), name), body=text, reason=reason, attempts=3)
