"""Each function's role, composed of what the platform and the slices declare in their ``policy.yaml``.

A declaration names a function, actions, and resources in short: ``table/users``, ``table/users/index/by-kind``,
``queue/approval``. What follows from other declarations is added here: the log and the secret of every function; of a
function on a queue, the queue, its dead-letter queue, claims and counts; of the functions that publish events of
records, the queues of all subscriptions.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from chalicelib import slices
from infra.environment import ROOT

Statements = list[dict[str, list[str]]]

#: What one role's policies may hold, spaces aside (IAM quotas, "Role inline policies").
LARGEST_POLICY_CHARACTERS = 10_240
#: The functions that publish events of records.
_PUBLISHERS = ("project", "repair", "reconcile")
_CONSUMER = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
_CLAIMS = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
_LOG = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]


class NoPolicy(Exception):
    """A function has no declared rights; the text names the file in which they are missing."""


def declared(root: Path = ROOT) -> dict[str, Statements]:
    """Return what the platform and the slices declare, by function."""
    library = root / "chalicelib"
    found: dict[str, Statements] = {}
    for file in (library / "core/policy.yaml", *(library / slice_.name / "policy.yaml" for slice_ in slices.SLICES)):
        if file.exists():
            for function, statements in yaml.safe_load(file.read_text()).items():
                found.setdefault(function, []).extend(statements)
    return found


def policy(function: str, rights: Mapping[str, Statements]) -> dict[str, Any]:
    """Return the policy document of *function*, given the *rights* that `declared` returns.

    Raises:
        NoPolicy: nothing is declared for it, and it works on no queue.
    """
    follows = _followed(function)
    if function not in rights and not follows:
        raise NoPolicy(f"function {function} needs its policy in {_place(function)}")
    allowed: dict[str, set[str]] = {}
    for statement in [*_everyones(function), *follows, *rights.get(function, ())]:
        for resource in statement["resources"]:
            allowed.setdefault(resource, set()).update(statement["allow"])
    grouped: dict[tuple[str, ...], list[str]] = {}
    for thing, actions in allowed.items():
        grouped.setdefault(tuple(sorted(actions)), []).append(thing)
    statements = [
        {"Effect": "Allow", "Action": list(actions), "Resource": [_arn(thing) for thing in sorted(things)]}
        for actions, things in grouped.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _place(function: str) -> str:
    """Return the file in which a reader would look for the rights of *function*."""
    names = [slice_.name for slice_ in slices.SLICES]
    known = next((name for name in names if function in {name, name.removesuffix("s")}), None)
    return f"chalicelib/{known or '<its slice>'}/policy.yaml"


def _everyones(function: str) -> Statements:
    return [
        {"allow": _LOG, "resources": [f"log/{function}"]},
        {"allow": ["secretsmanager:GetSecretValue"], "resources": ["secret"]},
    ]


def _followed(function: str) -> Statements:
    """Return what follows from the queues and subscriptions that slices declare."""
    queue = next((queue for queue in slices.QUEUES if queue.name == function), None)
    found: Statements = []
    if queue:
        found += [
            {"allow": _CONSUMER, "resources": [f"queue/{queue.name}"]},
            {"allow": ["sqs:SendMessage"], "resources": [f"queue/{queue.dead_letters}"]},
            {"allow": _CLAIMS, "resources": ["table/coordination"]},
        ]
    if function in _PUBLISHERS:
        found += _senders(subscription.queue.name for slice_ in slices.SLICES for subscription in slice_.subscriptions)
    return found


def _senders(names: Iterable[str]) -> Statements:
    return [{"allow": ["sqs:SendMessage"], "resources": [f"queue/{name}"]} for name in sorted(set(names))]


def _arn(thing: str) -> dict[str, str]:
    kind, _, rest = thing.partition("/")
    place = "${AWS::Region}:${AWS::AccountId}"
    forms = {
        "table": f"dynamodb:{place}:table/holdfast-${{Stage}}-{rest}",
        "queue": f"sqs:{place}:holdfast-${{Stage}}-{rest}",
        "log": f"logs:{place}:log-group:/aws/lambda/holdfast-${{Stage}}-{rest}:*",
        "secret": f"secretsmanager:{place}:secret:holdfast-${{Stage}}-*",
    }
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{forms[kind]}"}
