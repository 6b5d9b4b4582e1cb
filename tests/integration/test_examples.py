"""The programs in examples/ run as separate processes."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any, NamedTuple

import pytest
import requests

from chalicelib.core.egress import signatures
from infra.environment import ROOT
from infra.host import ports
from infra.local.stack import Stack
from tests.support.approvals import create_request, pending, request_path
from tests.support.client import Client, Person, json_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack

DEADLINE_SECONDS = 60


class Keyed(NamedTuple):
    """A user with an API key, and the environment of an example that uses the key."""

    user: Person
    environment: dict[str, str]


def test_ask_prints_the_answer_of_the_person(stack: Stack, admin: Client, person: NewPerson) -> None:
    # Given
    caller, asked_person = _keyed(stack, admin, person("service")), person()
    with _running("ask.py", caller.environment, asked_person.username, "Pay 120.00 EUR to Ada?") as process:
        # When
        (request_id,) = pending(asked_person.client, asked_person.username)
        json_of(asked_person.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
        # Then
        outcome = json.loads(_line(process))
    assert (outcome["requestId"], outcome["status"], outcome["action"]) == (request_id, "resolved", "approve")


def test_receiver_prints_a_signed_callback_and_refuses_a_forged_one(
    stack: Stack, admin: Client, person: NewPerson
) -> None:
    # Given
    caller, asked_person = _keyed(stack, admin, person("service")), person()
    with _running("receiver.py", caller.environment) as process:
        url = _line(process).removeprefix("Listening on ").strip()
        forged = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        assert requests.post(url, data=b"{}", headers=forged, timeout=10).status_code == 400
        # When
        request_id = create_request(caller.user.client, asked_person.username, callbackUrl=url)
        json_of(asked_person.client.post(request_path(request_id, "resolve"), {"action": "reject"}))
        # Then
        assert _line(process).split() == ["approval.resolved", request_id, "reject"]


def test_receiver_prints_each_event_of_a_webhook_once_and_in_order(stack: Stack, admin: Client) -> None:
    port = ports.free()
    address = f"http://127.0.0.1:{port}"
    made = json_of(admin.post("/api/webhooks", {"url": address, "events": ["application.created"]}), 201)
    environment = {"HOLDFAST_SECRET": made["secret"], "PORT": str(port)}
    try:
        with _running("receiver.py", environment) as process:
            assert _line(process) == f"Listening on {address}\n"
            new = {"applicantName": "Ada", "email": "ada@example.org", "amountMinor": 12000, "currency": "EUR"}
            application = json_of(admin.post("/api/applications", new | {"termMonths": 24}), 201)
            # When
            name = application["applicationId"]
            assert _line(process) == f"application.created {name} version 1\n"
            for delivery, version in (("dlv_a", 3), ("dlv_a", 3), ("dlv_b", 2), ("dlv_c", 3), ("dlv_d", 4)):
                _deliver(address, made["secret"], delivery, {"applicationId": name, "version": version})
            # Then
            printed = [_line(process) for _ in range(3)]
    finally:
        admin.delete(f"/api/webhooks/{made['webhookId']}")
    assert printed == [f"dlv_{which} {name} version {version}\n" for which, version in (("a", 3), ("c", 3), ("d", 4))]


def _deliver(address: str, secret: str, name: str, data: dict[str, Any]) -> None:
    body = json.dumps({"type": name, "id": name, "data": data}).encode()
    headers = signatures.headers([secret], name, datetime.now(UTC), body)
    assert requests.post(address, data=body, headers=headers, timeout=10).status_code == 204


def test_workers_at_once_create_once_and_lose_no_change(stack: Stack, admin: Client, person: NewPerson) -> None:
    # Given
    caller, workers = _keyed(stack, admin, person("service", "officer")), 3
    started = [_start("worker.py", caller.environment, "order-1") for _ in range(workers)]
    # When
    printed = [worker.communicate(timeout=DEADLINE_SECONDS)[0] for worker in started]
    # Then
    assert [worker.returncode for worker in started] == [0] * workers
    applications = [json.loads(line) for line in printed]
    assert len({application["applicationId"] for application in applications}) == 1
    final = {(application["version"], application["termMonths"]) for application in applications}
    assert final == {(1 + place, 24 + 12 * place) for place in range(1, workers + 1)}


def _keyed(stack: Stack, admin: Client, user: Person) -> Keyed:
    made = json_of(admin.post(f"/api/users/{user.username}/keys", {"name": "example"}), 201)
    return Keyed(user, {"HOLDFAST_URL": stack.url, "HOLDFAST_KEY": made["key"], "PORT": "0"})


def _start(name: str, variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    environment = {"PATH": os.environ["PATH"]} | variables
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@contextmanager
def _running(name: str, variables: dict[str, str], *arguments: str) -> Iterator[IO[str]]:
    """Run an example within the block and yield its output; kill the process at the end or the deadline."""
    with _start(name, variables, *arguments) as process:
        alarm = threading.Timer(DEADLINE_SECONDS, process.kill)
        alarm.start()
        try:
            assert process.stdout
            yield process.stdout
        finally:
            alarm.cancel()
            process.kill()


def _line(output: IO[str]) -> str:
    line = output.readline()
    assert line, "the example has ended"
    return line
