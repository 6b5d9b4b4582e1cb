"""The log group of each function. The data stack owns the groups: logs have an end, and outlive the functions."""

from collections.abc import Iterable
from typing import Any

from infra.deployment import templating

#: The log group of calls at both gateways.
ACCESS = "/holdfast/${Stage}/access"


def of(functions: Iterable[str]) -> dict[str, Any]:
    """Return a resource for each of the *functions*, which are named without ``holdfast-<stage>-``."""
    found = {f"{templating.logical(name)}Logs": f"/aws/lambda/holdfast-${{Stage}}-{name}" for name in sorted(functions)}
    return {name: _group(group) for name, group in found.items()} | ({"AccessLogs": _group(ACCESS)} if found else {})


def _group(name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Logs::LogGroup",
        **templating.KEPT,
        "Properties": {"LogGroupName": templating.sub(name), "RetentionInDays": {"Ref": "LogRetentionDays"}},
    }
