"""Alarms of the deployed stack notify the topic, failed schedules leave a message, and protected stacks stay."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deployment import cloudformation, destroying, packages, stacks, template
from infra.local.stack import Stack
from tests.support.stack import STAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def body_of(stack: Stack, url: str) -> dict[str, Any] | None:
    """Receive a message of the queue at *url*, and delete it."""
    sqs = stack.client("sqs")
    for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        found: dict[str, Any] = json.loads(message["Body"])
        return found
    return None


@pytest.fixture
def operator(stack: Stack) -> Iterator[str]:
    """The URL of a queue that gets the messages of the topic of alarms, as a mailbox would."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    (topic,) = [one["TopicArn"] for one in sns.list_topics()["Topics"] if one["TopicArn"].endswith(f"{STAGE}-alarms")]
    url = sqs.create_queue(QueueName="operator")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    subscribed = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield url
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize("alarm", ["dead-letters", "server-errors", "sweep-stopped", "push-age"])
def test_alarm_that_goes_off_notifies_the_topic(stack: Stack, operator: str, alarm: str) -> None:
    name = f"holdfast-{STAGE}-{alarm}"
    watch = stack.client("cloudwatch")
    watch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")

    def told() -> bool:
        body = body_of(stack, operator)
        message = json.loads(body["Message"]) if body else {}
        return (message.get("AlarmName"), message.get("NewStateValue")) == (name, "ALARM")

    eventually(told)


def test_scheduled_run_that_fails_for_good_leaves_a_message(stack: Stack) -> None:
    # Given an event that is none, which the function cannot read
    function = f"holdfast-{STAGE}-sweep"
    url = stack.client("sqs").get_queue_url(QueueName=f"holdfast-{STAGE}-schedule-failures")["QueueUrl"]
    # When
    stack.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b'"no event"')
    # Then the queue has the event and the reason
    body = eventually(lambda: body_of(stack, url), 30)
    assert body["requestPayload"] == "no event"
    assert function in body["requestContext"]["functionArn"]


def test_protected_stack_and_table_are_not_deleted(stack: Stack) -> None:
    calls, name = stack.client("cloudformation"), f"holdfast-{STAGE}-data"
    stacks.protect(calls, STAGE)
    with pytest.raises(ClientError, match=r"(?i)terminationprotection|termination protection"):
        calls.delete_stack(StackName=name)
    with pytest.raises(ClientError, match=r"(?i)deletion"):
        stack.client("dynamodb").delete_table(TableName=f"holdfast-{STAGE}-ledger")
    # And a deployment keeps the protection
    stack.redeploy()
    table = stack.client("dynamodb").describe_table(TableName=f"holdfast-{STAGE}-ledger")["Table"]
    assert table["DeletionProtectionEnabled"] is True


def test_destroyed_stage_leaves_nothing_and_can_be_made_anew(stack: Stack) -> None:
    # Given the data stack of another stage, protected
    calls, doomed = stack.client("cloudformation"), "doomed"
    name, body = f"holdfast-{doomed}-data", json.dumps(template.resources(["api"]))
    for _ in range(2):
        outputs = cloudformation.apply(calls, name, {"Stage": doomed}, TemplateBody=body)
        cloudformation.protect(calls, name, Protected="Yes")
        packages.upload(stack.client("s3"), outputs["PackagesBucket"], b"code", "zip")
        # When
        destroying.destroy(doomed, stack.client, lambda question: f"{doomed}\n")
        # Then
        assert cloudformation.describe(calls, name) is None
        assert not [table for table in stack.client("dynamodb").list_tables()["TableNames"] if doomed in table]
        assert not stack.client("sqs").list_queues(QueueNamePrefix=f"holdfast-{doomed}-").get("QueueUrls")
        assert not [one for one in stack.client("s3").list_buckets()["Buckets"] if doomed in one["Name"]]
        groups = stack.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/holdfast-{doomed}-")
        assert groups["logGroups"] == []
    # And the other stage is as it was
    assert f"holdfast-{STAGE}-ledger" in stack.client("dynamodb").list_tables()["TableNames"]
