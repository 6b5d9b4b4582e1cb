"""CloudFormation's calls: makes or updates a stack, waits until the stack has settled, and says why it failed."""

import json
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from botocore.exceptions import ClientError

from infra.deployment.template import minified
from infra.operations.failures import CommandFailed

_DEADLINE_SECONDS = 900
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class DeployFailed(CommandFailed):
    """CloudFormation refused or rolled back a stack, or took too long. The text names stack, resource and reason."""


def apply(cloudformation: Any, name: str, given: dict[str, str], **template: str) -> dict[str, str]:
    """Create or update the stack *name* with the parameters *given*; return its outputs. Safe to repeat.

    Raises:
        DeployFailed: CloudFormation refused or rolled back the stack, or took too long.
    """
    call = cloudformation.update_stack if _usable(cloudformation, name) else cloudformation.create_stack
    try:
        call(
            StackName=name,
            **template,
            Capabilities=_CAPABILITIES,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        )
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeployFailed(f"{name}: {error.response['Error']['Message']}") from error
    return settled(cloudformation, name)


def parameter(cloudformation: Any, name: str, key: str) -> str | None:
    """Return the value of the parameter *key* of the stack *name*, None if stack or parameter is missing."""
    given = (describe(cloudformation, name) or {}).get("Parameters", [])
    return next((one["ParameterValue"] for one in given if one["ParameterKey"] == key), None)


def template(cloudformation: Any, name: str) -> dict[str, Any]:
    """Return the template of the stack *name*, as it was given."""
    body = cloudformation.get_template(StackName=name)["TemplateBody"]
    return dict(body if isinstance(body, dict) else json.loads(body))


def protect(cloudformation: Any, name: str, **changed: str) -> None:
    """Protect the stack *name* against deletion; set its parameters *changed* first, and keep all others.

    A stack with parameters to change has a template that fits into a call: at most 51,200 bytes.

    Raises:
        DeployFailed: CloudFormation refused the change.
    """
    given = (describe(cloudformation, name) or {}).get("Parameters", [])
    values = {one["ParameterKey"]: one["ParameterValue"] for one in given}
    if not changed.items() <= values.items():
        kept = [{"ParameterKey": key, "ParameterValue": value} for key, value in (values | changed).items()]
        # The same template once more: not every endpoint knows UsePreviousTemplate.
        body = minified(template(cloudformation, name))
        try:
            cloudformation.update_stack(StackName=name, TemplateBody=body, Capabilities=_CAPABILITIES, Parameters=kept)
        except ClientError as error:
            raise DeployFailed(f"{name}: {error.response['Error']['Message']}") from error
        settled(cloudformation, name)
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)


def remove(cloudformation: Any, name: str) -> None:
    """Delete the stack *name*, protected or not, and wait for its end. Retained resources stay. Safe to repeat.

    Raises:
        DeployFailed: the stack was not deleted in time.
    """
    if describe(cloudformation, name) is not None:
        cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
        _delete(cloudformation, name)


def _delete(cloudformation: Any, name: str) -> None:
    cloudformation.delete_stack(StackName=name)

    def gone() -> bool:
        stack = describe(cloudformation, name)
        if stack is not None and stack["StackStatus"] == "DELETE_FAILED":
            raise DeployFailed(f"{name} is DELETE_FAILED:\n{_reasons(cloudformation, name)}")
        return stack is None

    _until(gone, f"{name} was not deleted")


def _usable(cloudformation: Any, name: str) -> bool:
    """Return whether the stack exists and takes updates. A stack whose creation failed takes none, and is deleted."""
    stack = describe(cloudformation, name)
    if stack is None:
        return False
    if stack["StackStatus"] not in {"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"}:
        return True
    _delete(cloudformation, name)
    return False


def settled(cloudformation: Any, name: str) -> dict[str, str]:
    """Wait for the stack to settle; return its outputs.

    Raises:
        DeployFailed: the stack settled in a failure, or did not settle in time.
    """

    def done() -> dict[str, Any] | None:
        stack = describe(cloudformation, name)
        return None if stack is None or stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = _until(done, f"{name} did not settle")
    if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise DeployFailed(f"{name} is {stack['StackStatus']}:\n{_reasons(cloudformation, name)}")
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return the stack *name*, None if there is none."""
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _until(found: Callable[[], Any], complaint: str) -> Any:
    """Call *found* until its answer is truthy, and return the answer. Pauses grow from 20 ms to 3 s.

    Raises:
        DeployFailed: no answer within the deadline; the text begins with *complaint*.
    """
    deadline, pause = monotonic() + _DEADLINE_SECONDS, 0.02
    while not (answer := found()):
        if monotonic() > deadline:
            raise DeployFailed(f"{complaint} within {_DEADLINE_SECONDS} s")
        sleep(pause)
        pause = min(pause * 1.5, 3)
    return answer


def _reasons(cloudformation: Any, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    return "\n".join(f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)
