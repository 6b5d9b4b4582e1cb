"""Deletes a stage: both stacks, and the data that the data stack retains. MongoDB's database stays."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.deployment import cloudformation
from infra.operations.failures import CommandFailed

Client = Callable[[str], Any]

#: AWS's codes for a thing that is not there any more.
_GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)


def destroy(stage: str, client: Client, ask: Callable[[str], str] = input) -> None:
    """Delete *stage* after the operator has typed its name: stacks, tables, queues, secret, packages and logs.

    An interrupted deletion is resumed by the same command, until the data stack is gone.

    Raises:
        CommandFailed: the stage is not deployed, or the operator typed something else; then nothing was changed.
        DeployFailed: a stack could not be deleted.
    """
    stacks, name = client("cloudformation"), f"holdfast-{stage}-data"
    if cloudformation.describe(stacks, name) is None:
        raise CommandFailed(f"There is no stack {name} in this region and account. Nothing was changed.")
    kept = list(_retained(stacks, name))
    print(f"This deletes the stage {stage} for good, with its users, records, ledger, queues, secret and logs:")
    print("\n".join(f"  {kind.rpartition('::')[2]:<10} {thing}" for kind, thing in kept))
    print("The MongoDB database stays. Point-in-time backups of the tables end with the tables.", flush=True)
    if _asked(ask, f"Type {stage} to delete the stage: ") != stage:
        raise CommandFailed("Nothing was changed.")
    cloudformation.remove(stacks, f"holdfast-{stage}-app")
    # Before the stack that names them: after a kill, the same command finds the rest.
    for kind, thing in kept:
        print(f"deleting {thing} ...", flush=True)
        _delete(client, kind, thing)
    cloudformation.remove(stacks, name)
    print(f"The stage {stage} is deleted.")


def _asked(ask: Callable[[str], str], question: str) -> str:
    try:
        return ask(question).strip()
    except EOFError:
        return ""


def _retained(stacks: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield type and physical id of each resource of the stack *name* that outlives the stack."""
    declared = cloudformation.template(stacks, name)["Resources"]
    for page in stacks.get_paginator("list_stack_resources").paginate(StackName=name):
        for one in page["StackResourceSummaries"]:
            if "DeletionPolicy" in declared.get(one["LogicalResourceId"], {}):
                yield one["ResourceType"], one["PhysicalResourceId"]


def _delete(client: Client, kind: str, thing: str) -> None:
    """Delete the *thing*, if present."""
    try:
        _DELETERS[kind](client, thing)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
    except KeyError:
        print(f"{kind} {thing} is not known to this command: delete it yourself.", file=sys.stderr)


def _delete_table(client: Client, name: str) -> None:
    dynamodb = client("dynamodb")
    if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=name)


def _delete_bucket(client: Client, name: str) -> None:
    s3 = client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def _delete_secret(client: Client, arn: str) -> None:
    # A recovery window would keep the name, and with it a new deployment of the stage.
    client("secretsmanager").delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


_DELETERS: dict[str, Callable[[Client, str], Any]] = {
    "AWS::DynamoDB::Table": _delete_table,
    "AWS::SQS::Queue": lambda client, url: client("sqs").delete_queue(QueueUrl=url),
    "AWS::SecretsManager::Secret": _delete_secret,
    "AWS::S3::Bucket": _delete_bucket,
    "AWS::Logs::LogGroup": lambda client, name: client("logs").delete_log_group(logGroupName=name),
}
