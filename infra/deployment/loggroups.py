"""The log group of each function. The data stack owns the groups: logs have an end, and outlive the functions."""

from collections.abc import Iterable
from typing import Any


def of(functions: Iterable[str]) -> dict[str, Any]:
    """Return a resource for each of the *functions*, which are named without ``holdfast-<stage>-``."""
    return {f"{name.title().replace('-', '')}Logs": _group(name) for name in sorted(functions)}


def _group(function: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Logs::LogGroup",
        # A failed creation leaves no log group behind, which the next attempt would run into.
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "LogGroupName": {"Fn::Sub": f"/aws/lambda/holdfast-${{Stage}}-{function}"},
            "RetentionInDays": {"Ref": "LogRetentionDays"},
        },
    }
