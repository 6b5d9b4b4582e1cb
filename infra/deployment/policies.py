"""Composes each function's role from the ``policy.yaml`` of the platform and of the slices.

A declaration names a function, actions, and resources in short: ``table/users``, ``table/users/index/by-kind``,
``queue/approval``, ``connections`` (of WebSockets), ``mail`` (the sender in SES). Rights that follow from other
declarations are added here. Every function gets its log and the secret. A function on a queue gets the queue, the
dead-letter queue, claims and counts.
The functions that publish events of records get the queues of all subscriptions. The function that stores dead letters
gets every dead-letter queue, and the API, which sends dead letters back, every queue.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from chalicelib import slices
from chalicelib.core.queueing import dead_letters, keeper
from infra.deployment import alarms
from infra.environment import ROOT

Statements = list[dict[str, list[str]]]

#: The most characters in a role's policies, without spaces (IAM quotas, "Role inline policies").
LARGEST_POLICY_CHARACTERS = 10_240
#: The functions that publish events of records.
_PUBLISHERS = ("project", "repair", "reconcile")
_CONSUMER = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
_CLAIMS = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
#: No right to create the log group: the data stack owns it, and a late line must not bring back a deleted group.
_LOG = ["logs:CreateLogStream", "logs:PutLogEvents"]


class NoPolicy(Exception):
    """A function has no declared rights. The text names the file that should declare the rights."""


def declared(root: Path = ROOT) -> dict[str, Statements]:
    """Return the statements that the platform and the slices declare, by function."""
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
        NoPolicy: *rights* has nothing for *function*, and no queue or subscription gives *function* rights.
    """
    derived = _derived(function)
    if function not in rights and not derived:
        raise NoPolicy(f"function {function} needs its policy in {_policy_file(function)}")
    allowed: dict[str, set[str]] = {}
    for statement in [*_common(function), *derived, *rights.get(function, ())]:
        for resource in _each(statement["resources"]):
            allowed.setdefault(resource, set()).update(statement["allow"])
    grouped: dict[tuple[str, ...], list[str]] = {}
    for thing, actions in allowed.items():
        grouped.setdefault(tuple(sorted(actions)), []).append(thing)
    statements = [
        {"Effect": "Allow", "Action": list(actions), "Resource": [_arn(thing) for thing in sorted(things)]}
        for actions, things in grouped.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def deployer(stage: str) -> dict[str, Any]:
    """Return the policy document of those who deploy *stage*, from `deployer.yaml`."""
    text = (ROOT / "infra/deployment/deployer.yaml").read_text().replace("${Stage}", stage)
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def _each(things: Iterable[str]) -> Iterator[str]:
    """Yield the *things*, and in the place of ``queue/*`` every queue: a star would match queues of longer stages."""
    for thing in things:
        if thing == "queue/*":
            yield from (f"queue/{name}" for queue in slices.QUEUES for name in (queue.name, queue.dead_letters))
        else:
            yield thing


def _policy_file(function: str) -> str:
    """Return the file that should declare the rights of *function*."""
    names = [slice_.name for slice_ in slices.SLICES]
    known = next((name for name in names if function in {name, name.removesuffix("s")}), None)
    return f"chalicelib/{known or '<its slice>'}/policy.yaml"


def _common(function: str) -> Statements:
    return [
        {"allow": _LOG, "resources": [f"log/{function}"]},
        {"allow": ["secretsmanager:GetSecretValue"], "resources": ["secret"]},
    ]


def _derived(function: str) -> Statements:
    """Return the statements of *function* that follow from the slices' queues and subscriptions."""
    queue = next((queue for queue in slices.QUEUES if queue.name == function), None)
    found: Statements = []
    if queue:
        found += [
            {"allow": _CONSUMER, "resources": [f"queue/{queue.name}"]},
            {"allow": ["sqs:SendMessage"], "resources": [f"queue/{queue.dead_letters}"]},
            {"allow": _CLAIMS, "resources": ["table/coordination"]},
        ]
    if function == keeper.NAME:
        found += [
            {"allow": _CONSUMER, "resources": [f"queue/{queue.dead_letters}" for queue in slices.QUEUES]},
            {"allow": ["dynamodb:PutItem"], "resources": [f"table/{dead_letters.TABLE}"]},
        ]
    if function in alarms.SCHEDULES:
        # Lambda sends a failed scheduled invocation by the function's role.
        found += [{"allow": ["sqs:SendMessage"], "resources": [f"queue/{alarms.FAILURES}"]}]
    if function == "api":
        found += _senders(queue.name for queue in slices.QUEUES)
    if function in _PUBLISHERS:
        found += _senders(subscription.queue.name for slice_ in slices.SLICES for subscription in slice_.subscriptions)
    return found


def _senders(names: Iterable[str]) -> Statements:
    return [{"allow": ["sqs:SendMessage"], "resources": [f"queue/{name}"]} for name in sorted(set(names))]


def _arn(thing: str) -> dict[str, Any]:
    kind, _, rest = thing.partition("/")
    # Secrets Manager appends a hyphen and six characters. A star would match the secret of the stage prod-eu, too.
    account = "${AWS::Region}:${AWS::AccountId}"
    forms = {
        "table": f"dynamodb:{account}:table/holdfast-${{Stage}}-{rest}",
        "queue": f"sqs:{account}:holdfast-${{Stage}}-{rest}",
        "log": f"logs:{account}:log-group:/aws/lambda/holdfast-${{Stage}}-{rest}:*",
        "connections": f"execute-api:{account}:${{WebsocketAPI}}/*/@connections/*",
        "mail": f"ses:{account}:identity/${{MailIdentity}}",
        "mail-events": f"ses:{account}:configuration-set/holdfast-${{Stage}}",
        "secret": f"secretsmanager:{account}:secret:holdfast-${{Stage}}-??????",
    }
    arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:{forms[kind]}"}
    # Without a name, SES itself bounds the senders, to verified ones. An emulator knows no identity as a resource.
    return {"Fn::If": ["SenderNamed", arn, "*"]} if kind == "mail" else arn
