"""Small forms that the parts of both templates share."""

from typing import Any

#: Kept when the stack or the resource goes. A failed creation leaves nothing that the next attempt would run into.
KEPT = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
#: The ARN of a queue of the stage, up to the queue's own name.
QUEUE_ARN = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:holdfast-${Stage}-"


def sub(text: str) -> dict[str, str]:
    """Return *text* with CloudFormation's substitution of ``${...}``."""
    return {"Fn::Sub": text}


def logical(name: str) -> str:
    """Return *name* as in logical ids, which have letters and digits only."""
    return name.title().replace("-", "")


def functions(template: dict[str, Any]) -> list[str]:
    """Return the functions of the app *template*, named without ``holdfast-<stage>-``."""
    found = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::Serverless::Function"]
    return sorted(one["FunctionName"]["Fn::Sub"].removeprefix("holdfast-${Stage}-") for one in found)
