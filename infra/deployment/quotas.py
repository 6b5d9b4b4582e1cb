"""Compares the limits of an AWS account with a deployment, before anything is changed."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.runtime.settings import WaitingSettings
from infra.operations.failures import CommandFailed

#: Concurrent executions that must stay for all calls that do not wait, and for the workers of the queues.
OTHERS = 8
#: The quota's name in Service Quotas, for the text of the refusal.
_QUOTA = "Service Quotas, AWS Lambda, Concurrent executions (L-B99A9384)"


def waiting_places(variables: Mapping[str, str]) -> int:
    """Return the number of callers that may wait at the same time, by the *variables* of functions."""
    return int(variables.get("WAITING_PLACES") or WaitingSettings.model_fields["places"].default)


def check_concurrency(client: Any, variables: Mapping[str, str]) -> None:
    """Return if the account's functions may run often enough at the same time for functions with *variables*.

    *client* is a client of Lambda. An endpoint without account settings passes.

    Raises:
        CommandFailed: the waiting callers alone could take the account's concurrency, as in a new account. The text
            says which limit to ask for.
    """
    try:
        limit = client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    except ClientError as error:
        # Without the right to look, the deployment goes on: CloudFormation itself needs no concurrency.
        print(f"The account's limit of concurrent executions was not checked: {error}")
        return
    places = waiting_places(variables)
    if limit >= places + OTHERS:
        return
    raise CommandFailed(
        f"The account runs {limit} functions at the same time, and up to {places} callers may wait, each in a function "
        f"(WAITING_PLACES); {OTHERS} more are needed for other calls and for queues. Ask AWS for {places + OTHERS} or "
        f"more: {_QUOTA}. Until then, set WAITING_PLACES to {max(1, limit - OTHERS)} or less in environment_variables "
        "of the stage in .chalice/config.json."
    )
