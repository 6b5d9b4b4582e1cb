"""A queue's declaration makes its resources; its sender writes messages and dead letters."""

import json
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.queues import RETENTION_SECONDS, Queue, named
from chalicelib.core.queueing.sender import Depth
from chalicelib.core.runtime import logs
from chalicelib.core.stores import clients
from chalicelib.slices import QUEUES
from infra.deployment import alarms, template
from tests.support.queue import JOBS, PREFIX, Clock, Job, SqsPoller, dead_letter

FINE: dict[str, Any] = {
    "name": "webhook-high",
    "visibility_seconds": 60,
    "attempts": 5,
    "batch_size": 10,
    "concurrency": 2,
    "timeout_seconds": 60,
}


@pytest.fixture
def poller(aws: None) -> SqsPoller:
    return SqsPoller(clients.aws("sqs"), Clock())


def received(name: str = JOBS.name) -> list[dict[str, Any]]:
    answer = clients.aws("sqs").receive_message(
        QueueUrl=PREFIX + name, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def test_a_message_carries_its_schema_and_its_cause(poller: SqsPoller) -> None:
    with logs.invocation("test") as line:
        line.add(requestId="the cause")
        poller.sender.send(JOBS, Job(job_id="a"))
    (message,) = received()
    assert json.loads(message["Body"]) == {"schema": 1, "causedBy": "the cause", "jobId": "a"}


def test_message_outside_an_invocation_has_an_empty_cause() -> None:
    assert Job(job_id="a").caused_by == ""


def test_a_message_is_seen_after_its_delay(poller: SqsPoller) -> None:
    poller.sender.send(JOBS, Job(job_id="a"), delay_seconds=60)
    assert received() == []
    assert poller.sender.depth(JOBS) == Depth(pending=1, processing=0, dead=0)


@pytest.mark.parametrize("seconds", [-1, 901, 10**6])
def test_delay_beyond_the_limits_of_sqs_is_cut(poller: SqsPoller, seconds: int) -> None:
    poller.sender.send(JOBS, Job(job_id="a"), delay_seconds=seconds)
    assert poller.sender.depth(JOBS).pending == 1


def test_dead_letter_carries_its_reason(poller: SqsPoller) -> None:
    poller.sender.dead_letter(JOBS, dead_letter("a", body="body"))
    (message,) = received(JOBS.dead_letters)
    assert message["Body"] == "body"
    assert message["MessageAttributes"]["reason"]["StringValue"] == "why"


def test_a_postponed_message_is_hidden_and_still_there(poller: SqsPoller) -> None:
    poller.add("a")
    poller.sender.postpone(JOBS, received()[0]["ReceiptHandle"], 100)
    assert received() == []
    assert poller.sender.depth(JOBS) == Depth(pending=0, processing=1, dead=0)


def test_dead_letters_being_read_are_still_counted(poller: SqsPoller) -> None:
    for _ in range(3):
        poller.sender.dead_letter(JOBS, dead_letter("a"))
    assert len(received(JOBS.dead_letters)) >= 1
    assert poller.sender.depth(JOBS).dead == 3


def test_unreachable_queue_is_unavailable(poller: SqsPoller, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415 # only here

    def down(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://sqs")

    for call in ("send_message", "change_message_visibility", "get_queue_attributes"):
        monkeypatch.setattr(poller.sender._client, call, down)
    for ask in (
        lambda: poller.sender.send(JOBS, Job(job_id="a")),
        lambda: poller.sender.dead_letter(JOBS, dead_letter("a")),
        lambda: poller.sender.postpone(JOBS, "receipt", 1),
        lambda: poller.sender.depth(JOBS),
    ):
        with pytest.raises(Unavailable):
            ask()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Webhook"},
        {"name": "web_hook"},
        {"name": "webhook-"},
        {"name": "w" * 46},
        {"timeout_seconds": 61},
        {"timeout_seconds": 0},
        {"timeout_seconds": 901, "visibility_seconds": 1000},
        {"visibility_seconds": 12 * 3600 + 1},
        {"attempts": 0},
        {"attempts": 1000},
        {"batch_size": 0},
        {"batch_size": 11},
        {"concurrency": 1},
        {"concurrency": 1001},
    ],
)
def test_invalid_declaration_of_a_queue_is_refused(wrong: dict[str, Any]) -> None:
    Queue(**FINE)
    with pytest.raises(ValueError, match=r"webhook|validation"):
        Queue(**FINE | wrong)


def test_names_of_queues_and_dead_letter_queues_are_unique() -> None:
    names = [name for queue in QUEUES for name in (queue.name, queue.dead_letters)]
    assert len(names) == len(set(names))
    assert [named(queue.name) for queue in QUEUES] == list(QUEUES)


@pytest.mark.parametrize("queue", [*QUEUES, Queue(**FINE)], ids=lambda queue: queue.name)
def test_declaration_makes_queue_dead_letter_queue_and_alarm(queue: Queue) -> None:
    made = template._queue(queue)
    assert all(name.isalnum() for name in made)
    by_kind = {resource["Type"]: (name, resource) for name, resource in made.items()}
    dead_id, dead = next((name, it) for name, it in made.items() if name.endswith("DeadLetters"))
    alive = next(it["Properties"] for name, it in made.items() if name.endswith("Queue"))
    # SQS counts deliveries, and only the worker counts attempts: SQS dead-letters as late as it can.
    assert alive["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [dead_id, "Arn"]},
        "maxReceiveCount": 1_000,
    }
    assert alive["VisibilityTimeout"] == queue.visibility_seconds
    assert alive["QueueName"] == {"Fn::Sub": f"holdfast-${{Stage}}-{queue.name}"}
    assert dead["Properties"]["QueueName"] == {"Fn::Sub": f"holdfast-${{Stage}}-{queue.dead_letters}"}
    for properties in (alive, dead["Properties"]):
        assert properties["MessageRetentionPeriod"] == RETENTION_SECONDS
        assert properties["SqsManagedSseEnabled"] is True
    # Waiting messages outlive the functions.
    queues = [resource for resource in made.values() if resource["Type"] == "AWS::SQS::Queue"]
    assert {resource["DeletionPolicy"] for resource in queues} == {"RetainExceptOnCreate"}
    _, alarm = by_kind["AWS::CloudWatch::Alarm"]
    assert alarm["Properties"]["Dimensions"][0]["Value"] == {"Fn::GetAtt": [dead_id, "QueueName"]}
    assert alarm["Properties"]["MetricName"] == "ApproximateAgeOfOldestMessage"
    # A dead letter, with its largest message, fits into an item of DynamoDB.
    assert {resource["Properties"]["MaximumMessageSize"] for resource in queues} == {256 * 1024}


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_mapping_reports_each_failure_and_is_bounded_as_declared(queue: Queue) -> None:
    # Given the function that chalice makes for `on_sqs_message(queue=...)`
    function: dict[str, Any] = {"Timeout": 29}
    event = {"Queue": {"Fn::Sub": f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{queue.name}"}}
    # When
    template._complete_queue_event(function, event)
    # Then
    assert function["Timeout"] == queue.timeout_seconds <= queue.visibility_seconds
    assert str(event.pop("Queue")["Fn::Sub"]).endswith(f":holdfast-${{Stage}}-{queue.name}")
    assert event == {
        "BatchSize": queue.batch_size,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": queue.concurrency},
    }


def test_the_data_stack_holds_every_queue() -> None:
    made = template.resources()["Resources"]
    names = {
        resource["Properties"]["QueueName"]["Fn::Sub"].removeprefix("holdfast-${Stage}-")
        for resource in made.values()
        if resource["Type"] == "AWS::SQS::Queue"
    }
    # The last one has what failed scheduled runs leave.
    assert names == {*(name for queue in QUEUES for name in (queue.name, queue.dead_letters)), alarms.FAILURES}
