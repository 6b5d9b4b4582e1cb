"""A stack of its own for the lab: its clock runs ahead of every other stack's."""

import os
import secrets
from collections.abc import Callable, Iterator

import pytest

from infra.local.lab.lab import Lab
from infra.local.lab.preload import NoLab
from infra.local.stack import Stack
from tests.support.client import Client, Person, json_of
from tests.support.receiver import Receiver, receiving
from tests.support.stack import PASSWORD, NewPerson, database, shared

__all__ = ["database"]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    """A stack with a clock that jumps. Where libfaketime cannot be loaded, tests are skipped at home and fail in CI."""
    try:
        return shared(request.config, lab=True)
    except NoLab as missing:
        if "CI" in os.environ:
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def lab(stack: Stack) -> Iterator[Lab]:
    """Moves the clock of the stack: ``lab.advance(hours=10)``, ``lab.now()``."""
    with Lab(stack.folder, stack.environment, stack.client) as lab:
        yield lab


@pytest.fixture
def sign_in(stack: Stack, lab: Lab) -> Callable[[], Client]:
    """Return a function that signs the first administrator in: a jump ends sessions."""
    return lambda: Client(stack.url).signed_in("admin", stack.admin_password or "")


@pytest.fixture
def admin(sign_in: Callable[[], Client]) -> Client:
    """The first administrator, in a session opened for this test."""
    return sign_in()


@pytest.fixture
def person(stack: Stack, admin: Client) -> NewPerson:
    """Return a function that makes a user: a service with an API key, which no jump ends, others with a session."""

    def make(*roles: str) -> Person:
        username = f"p{secrets.token_hex(6)}"
        new = {"username": username, "password": PASSWORD, "roles": list(roles or ("user",))}
        json_of(admin.post("/api/users", new), 201)
        if "service" not in roles:
            return Person(username, PASSWORD, Client(stack.url).signed_in(username, PASSWORD))
        made = json_of(admin.post(f"/api/users/{username}/keys", {"name": "lab"}), 201)
        return Person(username, PASSWORD, Client(stack.url, made["key"]))

    return make


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that records callbacks."""
    with receiving() as receiver:
        yield receiver
