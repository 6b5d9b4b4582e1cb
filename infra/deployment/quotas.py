"""Compares the limits of an AWS account with a deployment, before anything is changed."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from chalicelib.core.runtime.settings import MongoSettings, WaitingSettings
from infra.operations.failures import CommandFailed

#: Concurrent executions that must stay for all calls that do not wait, and for the workers of the queues.
OTHERS = 8
#: Connections by which a driver watches a server, beside its pool.
_MONITORS = 2
#: The quota's name in Service Quotas, for the text of the refusal.
_QUOTA = "Service Quotas, AWS Lambda, Concurrent executions (L-B99A9384)"


def waiting_places(variables: Mapping[str, str]) -> int:
    """Return the number of callers that may wait at the same time, by the *variables* of functions."""
    return int(variables.get("WAITING_PLACES") or WaitingSettings.model_fields["places"].default)


def concurrency(client: Any) -> int | None:
    """Return the executions at the same time that the account leaves to functions; None if not to be found out."""
    try:
        return int(client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"])
    except ClientError as error:
        # Without the right to look, the deployment goes on: CloudFormation itself needs no concurrency.
        print(f"The account's limit of concurrent executions was not checked: {error}")
        return None


def check_concurrency(client: Any, variables: Mapping[str, str]) -> None:
    """Return if the account's functions may run often enough at the same time for functions with *variables*.

    *client* is a client of Lambda.

    Raises:
        CommandFailed: the waiting callers alone could take the account's concurrency, as in a new account. The text
            says which limit to ask for.
    """
    limit, places = concurrency(client), waiting_places(variables)
    if limit is None or limit >= places + OTHERS:
        return
    raise CommandFailed(
        f"The account runs {limit} functions at the same time, and up to {places} callers may wait, each in a function "
        f"(WAITING_PLACES); {OTHERS} more are needed for other calls and for queues. Ask AWS for {places + OTHERS} or "
        f"more: {_QUOTA}. Until then, set WAITING_PLACES to {max(1, limit - OTHERS)} or less in environment_variables "
        "of the stage in .chalice/config.json."
    )


def check_log_role(client: Any) -> None:
    """Return if API Gateway may write logs in this account and region. *client* is a client of API Gateway.

    Raises:
        CommandFailed: the account names no role for the logs of API Gateway. The text says how to set the role.
    """
    if client.get_account().get("cloudwatchRoleArn"):
        return
    raise CommandFailed(
        "AccessLogs is On, and API Gateway has no role for logs in this account and region: the deployment would fail. "
        "Make a role that apigateway.amazonaws.com may assume, with the policy "
        "service-role/AmazonAPIGatewayPushToCloudWatchLogs, and name the role once for the account: aws apigateway "
        "update-account --patch-operations op=replace,path=/cloudwatchRoleArn,value=ROLE_ARN"
    )


def connection_budget(uri: str, limit: int | None, variables: Mapping[str, str]) -> str:
    """Return a sentence that compares the connections of *limit* functions with the limit of the server at *uri*."""
    pool = int(variables.get("MONGODB_MAX_POOL_SIZE") or MongoSettings.model_fields["max_pool_size"].default)
    each = pool + _MONITORS
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=4_000) as client:
            found = client.admin.command("serverStatus")["connections"]
    except PyMongoError as error:
        return f"MongoDB's limit of connections was not checked: {error}"
    most = found["current"] + found["available"]
    if limit is None:
        return f"MongoDB takes {most:,} connections, and a function opens up to {each}."
    text = f"MongoDB takes {most:,} connections; {limit:,} functions at the same time open up to {limit * each:,}."
    if limit * each <= most:
        return text
    return (
        f"Warning: {text} Beyond {most // each:,} functions, calls are 503. Choose a larger MongoDB, or lower "
        "MONGODB_MAX_POOL_SIZE."
    )
