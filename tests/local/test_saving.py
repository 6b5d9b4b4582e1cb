"""The AWS endpoint's state after a kill: saved while serving, and the loss reported at the next start."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from infra.local.clients import OwnClients
from infra.local.processes import emulator_main
from infra.local.processes.emulator import Emulator
from tests.support.up import Up
from tests.support.waiting import eventually, gone, processes_on


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    made = Emulator(tmp_path / "emulator")
    made.start()
    yield made
    made.stop()


def client(emulator: Emulator, service: str = "dynamodb") -> Any:
    return OwnClients(emulator.endpoint_url).client(service)


def add_table(emulator: Emulator) -> None:
    client(emulator).create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )


def put(emulator: Emulator, key: str) -> None:
    client(emulator).put_item(TableName="table", Item={"pk": {"S": key}, "raw": {"B": b"\xff"}})


def keys(emulator: Emulator) -> set[str]:
    return {item["pk"]["S"] for item in client(emulator).scan(TableName="table")["Items"]}


def saved_at(folder: Path) -> float:
    """Return the moment of the saved state in *folder*, 0 without one."""
    file = folder / "saved"
    return float(file.read_text()) if file.exists() else 0.0


def saved_since(folder: Path, moment: float) -> bool:
    return saved_at(folder) > moment


def kill_process(emulator: Emulator) -> None:
    """Kill the emulator's process alone, as `kill -9` does, and clear up after it."""
    os.kill(emulator.pid, signal.SIGKILL)
    emulator.child.wait()
    emulator.kill()


def test_changes_are_saved_while_serving_and_outlive_a_kill(emulator: Emulator) -> None:
    # Given
    add_table(emulator)
    for number in range(100):
        put(emulator, str(number))
    queue = client(emulator, "sqs").create_queue(QueueName="queue")["QueueUrl"]
    client(emulator, "sqs").send_message(QueueUrl=queue, MessageBody="kept")
    changed = time.time()
    eventually(lambda: saved_since(emulator.folder, changed))
    # When
    kill_process(emulator)
    emulator.start()
    # Then
    assert keys(emulator) == {str(number) for number in range(100)}
    messages = client(emulator, "sqs").receive_message(QueueUrl=queue)["Messages"]
    assert [message["Body"] for message in messages] == ["kept"]


def test_loss_is_known_after_a_kill_and_not_after_an_end(emulator: Emulator) -> None:
    assert emulator.lost_after is None
    add_table(emulator)
    changed = time.time()
    eventually(lambda: saved_since(emulator.folder, changed))
    kill_process(emulator)
    emulator.start()
    assert emulator.lost_after is not None
    assert changed < emulator.lost_after < time.time()
    put(emulator, "last")
    emulator.restart()
    assert emulator.lost_after is None
    assert keys(emulator) == {"last"}, "an orderly end saves to the last change"


def test_requests_are_answered_while_the_state_is_saved(emulator: Emulator) -> None:
    add_table(emulator)
    pid, copies, stop = emulator.pid, set[int](), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            copies.update(child.pid for child in psutil.Process(pid).children())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = saved_at(emulator.folder)
    count = 0

    def put_until_saved() -> bool:
        nonlocal count
        put(emulator, str(count))
        count += 1
        return saved_since(emulator.folder, began)

    eventually(put_until_saved)
    stop.set()
    watcher.join()
    assert copies, "a copy of the process saved"
    # A machine at work answers slowly, and a process that saves by itself not at all
    assert count > 2
    eventually(lambda: all(gone(copy) for copy in copies))


@pytest.mark.parametrize(
    ("method", "action", "changes"),
    [
        ("POST", "DynamoDB_20120810.PutItem", True),
        ("POST", "DynamoDB_20120810.TransactWriteItems", True),
        ("POST", "AmazonSQS.ReceiveMessage", True),
        ("POST", "", True),
        ("DELETE", "", True),
        ("POST", "DynamoDB_20120810.BatchGetItem", False),
        ("POST", "Logs_20140328.FilterLogEvents", False),
        ("GET", "", False),
    ],
)
def test_requests_that_only_read_cause_no_save(method: str, action: str, *, changes: bool) -> None:
    headers = [(b"x-amz-target", action.encode())] if action else []
    scope = {"type": "http", "method": method, "headers": headers}
    assert emulator_main.may_change(scope) is changes


def test_start_after_a_kill_tells_the_moment_and_names_reconcile(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Up(data) as up:
        up.ready()
        # The deployment is saved; only then a kill leaves something to start with.
        eventually(lambda: saved_since(data / "emulator", 0))
        os.kill(up.child("emulator"), signal.SIGKILL)
        assert up.wait() == 1
    with Up(data) as up:
        shown = " ".join(up.ready().output.split())
        assert "! The AWS endpoint was killed in its last run. Its tables and queues are those of 20" in shown
        assert "Run scripts/reconcile" in shown
        assert requests.get(f"{up.url}/health", timeout=30).json()["status"] == "ok"
        up.send(signal.SIGTERM)
        up.wait()
    with Up(data) as up:
        assert "was killed" not in up.ready().output
    assert processes_on(data) == []
    assert json.loads((data / "emulator/state/dynamodb.json").read_text())
