"""A receiver that loses deliveries finds exactly those by the statement, and is complete in the end."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.egress import signatures
from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.client import Client, json_of, problem_of
from tests.support.receiver import Received, Receiver, receiving
from tests.support.records import DOC
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: One delivery of a hundred is lost after the answer 204, at random.
LOST, DELIVERIES = 0.01, 60
#: Functions of a busy machine start slowly.
PATIENCE_SECONDS = 300


class Forgetful:
    """A receiver that answers 204 to each delivery, and loses some before they are stored."""

    def __init__(self, receiver: Receiver) -> None:
        self.stored: dict[str, str] = {}
        self.seen: set[str] = set()
        self._rng = random.Random(5)
        self.careful = False
        receiver.answer = self._take

    def _take(self, call: Received) -> tuple[int, dict[str, str]]:
        name = call.headers["webhook-id"]
        self.seen.add(name)
        if self.careful or self._rng.random() >= LOST:
            self.stored[name] = hashlib.sha256(call.body).hexdigest()
        return 204, {}

    @property
    def lost(self) -> list[str]:
        return sorted(self.seen - self.stored.keys())

    @property
    def lines(self) -> str:
        return "".join(f"{name} {digest}\n" for name, digest in self.stored.items())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def webhook(admin: Client, receiver: Receiver) -> Iterator[dict[str, Any]]:
    new = {"url": receiver.url, "events": ["application.created"], "rateLimitPerMinute": 60_000}
    made = json_of(admin.post("/api/webhooks", new), 201)
    yield made
    admin.delete(f"/api/webhooks/{made['webhookId']}")


def reconciled(stack: Stack, webhook: dict[str, Any], have: str, **variables: str) -> list[str]:
    """Run the example on what a receiver has; return the ids that it prints."""
    environment = {"PATH": os.environ["PATH"], "HOLDFAST_URL": stack.url, "HOLDFAST_SECRET": webhook["secret"]}
    command = [sys.executable, str(ROOT / "examples/reconcile.py"), webhook["webhookId"]]
    done = subprocess.run(
        command, env=environment | variables, input=have, capture_output=True, text=True, timeout=60, check=True
    )
    return [line.split()[1] for line in done.stdout.splitlines()]


def test_a_receiver_that_loses_deliveries_ends_complete(
    stack: Stack, admin: Client, person: NewPerson, receiver: Receiver, webhook: dict[str, Any]
) -> None:
    # Given
    forgetful = Forgetful(receiver)
    for _ in range(DELIVERIES):
        json_of(admin.post("/api/applications", DOC), 201)
    eventually(lambda: len(forgetful.seen) == DELIVERIES, PATIENCE_SECONDS)
    assert forgetful.lost
    # When it compares what it has with the statement, then it finds what it has lost
    assert sorted(reconciled(stack, webhook, forgetful.lines)) == forgetful.lost
    # And a delivery that was damaged in its store
    first, *_ = forgetful.stored
    damaged = forgetful.lines.replace(forgetful.stored[first], "0" * 64)
    assert sorted(reconciled(stack, webhook, damaged)) == sorted([first, *forgetful.lost])
    # When it asks for these, then it is complete
    forgetful.careful = True
    boss = person("admin", "service")
    key = json_of(admin.post(f"/api/users/{boss.username}/keys", {"name": "reconcile"}), 201)["key"]
    reconciled(stack, webhook, forgetful.lines, HOLDFAST_KEY=key)
    eventually(lambda: len(forgetful.stored) == DELIVERIES, PATIENCE_SECONDS)
    assert reconciled(stack, webhook, forgetful.lines) == []


def test_the_page_of_webhooks_prints_the_code_that_runs() -> None:
    page = (ROOT / "docs/webhooks.md").read_text().partition("## Reconcile by the statement")[2]
    code = page.partition("```python\n")[2].partition("```")[0]
    assert code
    assert code in (ROOT / "examples/reconcile.py").read_text()


def test_a_deployed_statement_takes_the_webhooks_own_secret_alone(
    stack: Stack, admin: Client, person: NewPerson, receiver: Receiver, webhook: dict[str, Any]
) -> None:
    new = {"url": receiver.url, "events": ["application.deleted"]}
    other = json_of(admin.post("/api/webhooks", new), 201)
    own, foreign = (f"/api/webhooks/{each['webhookId']}/statement" for each in (webhook, other))
    nobody, user = Client(stack.url), person("officer").client

    def read(path: str, secret: str, text: str) -> Any:
        return nobody.get(path, headers=signatures.headers([secret], "a", datetime.now(UTC), text.encode()))

    try:
        assert json_of(read(own, webhook["secret"], f"GET {own}")) == {"items": [], "nextCursor": None}
        assert json_of(read(f"{own}?limit=1&from=2", webhook["secret"], f"GET {own}?from=2&limit=1"))["items"] == []
        for path, secret, text in (
            (foreign, webhook["secret"], f"GET {foreign}"),
            (foreign, webhook["secret"], f"GET {own}"),
            (own, other["secret"], f"GET {own}"),
            (f"{own}?from=2", webhook["secret"], f"GET {own}"),
            (own, webhook["secret"], f"DELETE {own}"),
        ):
            assert problem_of(read(path, secret, text), 401)["code"] == "wrong-signature"
        problem_of(nobody.get(own), 401)
        problem_of(user.get(own), 403)
        problem_of(user.post("/api/deliveries/replay", {"filter": {}, "expectedCount": 0}), 403)
    finally:
        admin.delete(f"/api/webhooks/{other['webhookId']}")
