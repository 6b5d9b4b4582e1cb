"""The deployed stack of a test session: one per pytest process, removed when the process ends.

`tests/integration` and `tests/conformance` import the fixtures into their ``conftest.py``, and share the stack.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from infra.docs import settings as docs
from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.support import endpoint
from tests.support.client import Client, Person, patiently

STAGE = "local"
#: The password of every user made here.
PASSWORD = "correct horse battery"

#: Variables of the shell that would change the stack under test.
_SETTINGS = ("AWS_", "LOCALSTACK_", *(str(section.model_config["env_prefix"]) for section in docs.known()))

NewPerson = Callable[..., Person]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    """The stack, in a temporary folder and on free ports."""
    return shared(request.config)


@pytest.fixture(scope="session")
def admin(stack: Stack) -> Client:
    """The first administrator, signed in."""
    return Client(stack.url).signed_in("admin", stack.admin_password or "")


@pytest.fixture(scope="session")
def person(stack: Stack, admin: Client) -> NewPerson:
    """Return a function that makes a new user with the given roles and signs the user in.

    Patient, as the test before may have left functions that find their stores again just now.
    """

    def make(*roles: str) -> Person:
        username = f"p{secrets.token_hex(6)}"
        new = {"username": username, "password": PASSWORD, "roles": list(roles or ("user",))}
        # A refusal may come after the user was made.
        assert patiently(lambda: admin.post("/api/users", new)).status_code in {201, 409}
        return Person(username, PASSWORD, Client(stack.url).signed_in(username, PASSWORD))

    return make


@pytest.fixture(scope="session")
def database(stack: Stack) -> Iterator[Database[dict[str, Any]]]:
    """The database of the stack, past the API."""
    with MongoClient[dict[str, Any]](stack.mongodb_uri, tz_aware=True, serverSelectionTimeoutMS=10_000) as client:
        yield client[DATABASE]


@pytest.fixture
def unswept(stack: Stack) -> Iterator[None]:
    """Disable the sweep during the test; overdue work stays until the test finishes it."""
    events, sweep = stack.client("events"), f"holdfast-{STAGE}-sweep"
    function = stack.client("lambda").get_function_configuration(FunctionName=sweep)["FunctionArn"]
    (rule,) = events.list_rule_names_by_target(TargetArn=function)["RuleNames"]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


@contextmanager
def configured(stack: Stack, function: str, **variables: str) -> Iterator[None]:
    """Give *function* more environment variables during the block.

    Both changes are in force when they return. An endpoint other than the emulator makes them in the background, and
    calls meanwhile are answered with the former ones, or late.
    """
    functions, name = stack.client("lambda"), f"holdfast-{STAGE}-{function}"
    before = functions.get_function_configuration(FunctionName=name)["Environment"]

    def change(environment: dict[str, Any]) -> None:
        functions.update_function_configuration(FunctionName=name, Environment=environment)
        functions.get_waiter("function_updated").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    change({"Variables": before["Variables"] | variables})
    try:
        yield
    finally:
        change(before)


@cache
def shared(config: pytest.Config, *, lab: bool = False) -> Stack:
    """Return the stack of this process, started at the first call. The clock of a *lab* can jump."""
    # Cached by process and not by fixture: a fixture imported twice is two fixtures, and would be two stacks.
    folder = tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    with pytest.MonkeyPatch.context() as environment:
        # Never the processes that the shell names: some tests kill processes.
        for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
            environment.delenv(name)
        # For the whole process, because a redeployment reads them again.
        os.environ.update(endpoint.variables())
        stack = Stack(Path(folder.name), stage=STAGE, lab=lab)
        stack.start()
    config.add_cleanup(stack.stop)
    return stack
