"""An extra queue and function beside the deployed functions: the same package, with a handler for tests.

handler.py  the function's handler: jobs leave an effect, and may have their worker killed
"""

import io
import json
import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from chalicelib import slices
from chalicelib.core.coordination.counts import Counts
from chalicelib.core.queueing import keeper, queues
from chalicelib.core.queueing.dead_letters import TABLE, DeadLetter, DeadLetters
from chalicelib.core.queueing.queues import MOST_RECEIVES, Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores.dynamodb import Table
from chalicelib.core.stores.sorted import SortedTable
from infra.host.interpreter import RUNTIME
from infra.host.processes import Identity
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.running_stack import Run

#: The rights of a deployed worker on its queue and its claims.
_QUEUE_ACTIONS = (
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ChangeMessageVisibility",
    "sqs:SendMessage",
)
_TABLE_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")


class ExtraWorker:
    """A queue, its dead-letter queue and its function."""

    def __init__(self, stack: Stack, queue: Queue) -> None:
        self.stack, self.queue = stack, queue
        self.function = f"holdfast-{stack.stage}-{queue.name}"
        self.sqs = stack.client("sqs")
        self.table = Table(stack.client("dynamodb"), f"holdfast-{stack.stage}-coordination")
        self._mappings: list[str] = []
        self._batches = stack.folder / f"{queue.name}.batches"

    @cached_property
    def prefix(self) -> str:
        """The common prefix of all queue URLs."""
        url: str = self.sqs.get_queue_url(QueueName=self.function)["QueueUrl"]
        return url.removesuffix(self.queue.name)

    @property
    def sender(self) -> Sender:
        return Sender(self.sqs, self.prefix)

    @property
    def letters(self) -> list[DeadLetter]:
        """The stored dead letters, the oldest first."""
        return dead_letters(self.stack).page(self.queue.name, 1_000)

    def send(self, job: str, **fields: Any) -> None:
        """Send a job; *fields* are fields of `handler.Job`."""
        body = {"schema": 1, "causedBy": f"cause-of-{job}", "jobId": job, **fields}
        self.sqs.send_message(QueueUrl=self.prefix + self.queue.name, MessageBody=json.dumps(body))

    def read_counts(self) -> tuple[int, int]:
        """Return the numbers of completed and of failed jobs."""
        found = Counts(self.table).read([self.queue.name], ("completed", "failed"))[self.queue.name]
        return found["completed"], found["failed"]

    def effects(self) -> dict[str, int]:
        """Return the number of effects of each job."""
        found: dict[str, int] = {}
        pages = (
            self.stack.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.table.name,
                FilterExpression="begins_with(pk, :effect)",
                ExpressionAttributeValues={":effect": {"S": f"effect#{self.queue.name}#"}},
            )
        )
        for item in (item for page in pages for item in page["Items"]):
            found[item["job"]["S"]] = found.get(item["job"]["S"], 0) + 1
        return found

    def batches(self) -> list[dict[str, Any]]:
        """Return the batches that the handlers ``timed`` and ``bare`` have ended, in the order of their ends.

        The functions append to a file of this machine, so no batch is lost, as a log record may be.
        """
        return [json.loads(line) for line in self._batches.read_text().splitlines()] if self._batches.exists() else []

    def log_records(self) -> list[dict[str, Any]]:
        """Return the function's log records."""
        pages = (
            self.stack.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{self.function}")
        )
        texts = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(text) for text in texts if text.startswith("{")]

    def deploy(self, handler: str) -> None:
        """Make queues, role, function and mapping; *handler* is the function's entry point."""
        dead = self._make_queue(self.queue.dead_letters, {})
        policy = {"deadLetterTargetArn": dead, "maxReceiveCount": MOST_RECEIVES}
        visibility = str(self.queue.visibility_seconds)
        arn = self._make_queue(self.queue.name, {"VisibilityTimeout": visibility, "RedrivePolicy": json.dumps(policy)})
        functions = self.stack.client("lambda")
        known = functions.get_function_configuration(FunctionName=f"holdfast-{self.stack.stage}-api")
        variables = {
            **known["Environment"]["Variables"],
            "SCRATCH": json.dumps(asdict(self.queue)),
            "SCRATCH_BATCHES": str(self._batches),
        }
        functions.create_function(
            FunctionName=self.function,
            Runtime=RUNTIME,
            Role=self._make_role(arn, dead),
            Handler=f"handler.{handler}",
            Code={"ZipFile": _package(self.stack.folder / "package/deployment.zip")},
            Timeout=self.queue.timeout_seconds,
            MemorySize=512,
            Environment={"Variables": variables},
        )
        self._mappings = [self._map(arn, self.function), self._map(dead, f"holdfast-{self.stack.stage}-{keeper.NAME}")]

    def _map(self, source: str, function: str) -> str:
        mapping = self.stack.client("lambda").create_event_source_mapping(
            EventSourceArn=source,
            FunctionName=function,
            BatchSize=self.queue.batch_size,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig={"MaximumConcurrency": self.queue.concurrency},
        )
        return str(mapping["UUID"])

    def remove(self) -> None:
        """Remove mapping, function, queues and role; the counts stay."""
        functions, iam = self.stack.client("lambda"), self.stack.client("iam")
        for mapping in self._mappings:
            functions.delete_event_source_mapping(UUID=mapping)
        functions.delete_function(FunctionName=self.function)
        for name in (self.queue.name, self.queue.dead_letters):
            self.sqs.delete_queue(QueueUrl=self.prefix + name)
        iam.delete_role_policy(RoleName=self.function, PolicyName="works")
        iam.delete_role(RoleName=self.function)

    def _make_queue(self, name: str, attributes: dict[str, str]) -> str:
        url = self.sqs.create_queue(QueueName=f"holdfast-{self.stack.stage}-{name}", Attributes=attributes)["QueueUrl"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _make_role(self, *queues: str) -> str:
        iam = self.stack.client("iam")
        trust = _policy("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
        role = iam.create_role(RoleName=self.function, AssumeRolePolicyDocument=trust)["Role"]
        table = self.stack.client("dynamodb").describe_table(TableName=self.table.name)["Table"]["TableArn"]
        statements = [
            {"Effect": "Allow", "Action": list(_QUEUE_ACTIONS), "Resource": list(queues)},
            {"Effect": "Allow", "Action": list(_TABLE_ACTIONS), "Resource": table},
            {"Effect": "Allow", "Action": ["logs:*"], "Resource": "*"},
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=self.function, PolicyName="works", PolicyDocument=document)
        return str(role["Arn"])


def dead_letters(stack: Stack) -> DeadLetters:
    """Return the stored dead letters of *stack*."""
    return DeadLetters(SortedTable(stack.client("dynamodb"), f"holdfast-{stack.stage}-{TABLE}"))


@contextmanager
def deployed(stack: Stack, handler: str = "work", **declared: Any) -> Iterator[ExtraWorker]:
    """Deploy an extra queue and its function during the block."""
    options: dict[str, Any] = {
        "visibility_seconds": 20,
        "attempts": 50,
        "batch_size": 10,
        "concurrency": 4,
        "timeout_seconds": 20,
    }
    extra = ExtraWorker(stack, Queue(f"scratch-{secrets.token_hex(4)}", **{**options, **declared}))
    extra.deploy(handler)
    try:
        yield extra
    finally:
        extra.remove()


def _policy(action: str, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **more}]})


def _package(deployed_package: Path) -> bytes:
    content = io.BytesIO(deployed_package.read_bytes())
    with zipfile.ZipFile(content, "a") as package:
        package.write(Path(__file__).with_name("handler.py"), "handler.py")
    return content.getvalue()


@pytest.fixture(scope="module")
def extra(stack: Stack) -> Iterator[ExtraWorker]:
    with deployed(stack) as made:
        yield made


@pytest.fixture
def running(extra: ExtraWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that point `scripts/queues` at the stack, with the extra queue as the only queue."""
    monkeypatch.setattr(slices, "QUEUES", (extra.queue,))
    monkeypatch.setitem(queues._declared, extra.queue.name, extra.queue)
    run = Run(Identity.of(os.getpid()), extra.stack.url, extra.stack.environment)
    running_stack.write(tmp_path, run)
    return ["--data", str(tmp_path)]
