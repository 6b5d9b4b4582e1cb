"""A slice declares each of its parts once, and everything that must follow from a declaration exists.

A failure names the file to edit.
"""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from app import app
from chalicelib import slices
from chalicelib.core.queueing import keeper
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.records.events import Subscription
from chalicelib.core.records.models import Kind
from chalicelib.core.runtime.settings import Section
from chalicelib.core.slice import Slice
from chalicelib.core.web.frames import Action, Topic
from chalicelib.core.web.routes import Routes
from infra.deployment import policies
from tests.architecture.source import CORE, LIBRARY, MODULES, SLICES, place, tree, verdict

SEND = "sqs:SendMessage"
DECLARED = {slice_.name for slice_ in slices.SLICES}


def functions() -> list[str]:
    """Return the name of every deployed function: the function of routes, and all functions of `app.py`."""
    sockets = app.websocket_handlers.values()
    return ["api", *(source.name for source in (*app.event_sources, *sockets)), *pure_functions()]


def pure_functions() -> list[str]:
    return [function.name for function in app.pure_lambda_functions]


def test_every_slice_folder_is_in_the_list_of_slices() -> None:
    verdict(f"slice {name} is not in chalicelib/slices.py: add its SLICE" for name in set(SLICES) - DECLARED)


def test_every_slice_has_the_name_of_its_folder() -> None:
    verdict(
        f"chalicelib/{name}/slice.py calls the slice {declaration(name).name}: call it {name}"
        for name in SLICES
        if declares(name) and declaration(name).name != name
    )


def test_every_slice_declares_the_parts_of_its_folder() -> None:
    verdict(fault for name in SLICES for fault in undeclared(name))


def declares(name: str) -> bool:
    return f"chalicelib.{name}.slice" in MODULES


def declaration(name: str) -> Slice:
    found: Slice = importlib.import_module(f"chalicelib.{name}.slice").SLICE
    return found


def undeclared(name: str) -> Iterator[str]:
    """Yield each part that modules of the slice folder *name* define and its ``slice.py`` does not declare."""
    if not declares(name):
        yield f"slice {name} has no declaration: add chalicelib/{name}/slice.py"
        return
    slice_ = declaration(name)
    frames = [*slice_.actions, *slice_.topics]
    known = [*slice_.queues, *slice_.kinds, *slice_.subscriptions, *slice_.settings, slice_.routes, *frames]
    for variable, value, module in defined(name):
        if (what := sort_of(value)) and not any(value is one or value == one for one in known):
            yield f"{what} {variable} of {place(MODULES[module])} is not declared in chalicelib/{name}/slice.py"


def defined(name: str) -> Iterator[tuple[str, Any, str]]:
    """Yield every variable and class that the slice's modules define, with its value and its module."""
    for module, path in MODULES.items():
        if module.startswith(f"chalicelib.{name}."):
            for variable in defined_names(path):
                yield variable, getattr(importlib.import_module(module), variable), module


def defined_names(path: Path) -> Iterator[str]:
    """Yield the names defined at the top level of *path*, without imported names."""
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id


def sort_of(value: Any) -> str:
    """Return the kind of declaration of *value*, "" for anything else."""
    if isinstance(value, type):
        return "settings" if issubclass(value, Section) else ""
    sorts = {
        Queue: "queue",
        Kind: "kind",
        Subscription: "subscription",
        Routes: "routes",
        Action: "action",
        Topic: "topic",
    }
    return next((sort for known, sort in sorts.items() if isinstance(value, known)), "")


def test_every_queue_has_a_function_of_its_name() -> None:
    workers = {source.queue: source.name for source in app.event_sources if hasattr(source, "queue")}
    verdict(
        f"queue {queue.name} needs a function of that name in app.py"
        for queue in slices.QUEUES
        if workers.get(queue.name) != queue.name
    )


def test_every_queue_of_app_is_declared() -> None:
    # The function of dead letters works on the dead-letter queue of every declared queue.
    declared = {queue.name for queue in slices.QUEUES} | {keeper.NAME}
    verdict(
        f"function {source.name} of app.py works on queue {source.queue}: declare the queue in its slice.py"
        for source in app.event_sources
        if hasattr(source, "queue") and source.queue not in declared
    )


def test_every_function_has_a_policy() -> None:
    verdict(fault for name in functions() for fault in without_policy(name))


def without_policy(function: str) -> Iterator[str]:
    try:
        policies.policy(function, policies.declared())
    except policies.NoPolicy as missing:
        yield str(missing)


def test_every_policy_names_an_existing_function() -> None:
    known = set(functions())
    verdict(
        f"{place(file)} has rights of {function}, which is no function of app.py: remove them, or add the function"
        for file in policy_files()
        for function in yaml.safe_load(file.read_text())
        if function not in known
    )


def policy_files() -> list[Path]:
    return sorted(LIBRARY.glob("*/policy.yaml"))


def test_every_queue_has_a_sender() -> None:
    sent_to = {resource for function in functions() for resource in senders_resources(function)}
    verdict(
        f"queue {queue.name} has no sender: allow {SEND} on queue/{queue.name} to the functions that send, "
        f"in chalicelib/{owner(queue)}/policy.yaml"
        for queue in slices.QUEUES
        if f"holdfast-${{Stage}}-{queue.name}" not in sent_to
    )


def senders_resources(function: str) -> Iterator[str]:
    """Yield the last part of the ARN of every resource to which *function* may send."""
    try:
        document = policies.policy(function, policies.declared())
    except policies.NoPolicy:
        return
    for statement in document["Statement"]:
        if SEND in statement["Action"]:
            yield from (arn["Fn::Sub"].rpartition(":")[2] for arn in statement["Resource"])


def owner(queue: Queue) -> str:
    return next((slice_.name for slice_ in slices.SLICES if queue in slice_.queues), CORE)
