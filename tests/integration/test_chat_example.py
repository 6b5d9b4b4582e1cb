"""examples/chat.py, a client that follows docs/messages.md alone, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo.database import Database

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.client import Person, json_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


@contextmanager
def chatting(stack: Stack, person: Person, device: str) -> Iterator[subprocess.Popen[str]]:
    """Run the example as a device of *person*; end it with the block."""
    environment = {"PATH": os.environ["PATH"], "HOLDFAST_URL": stack.url, "HOLDFAST_KEY": str(person.client.token)}
    command = [sys.executable, str(ROOT / "examples/chat.py"), device]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the example has ended"
    return line.strip()


def test_two_terminals_exchange_messages_over_a_lost_connection(
    stack: Stack, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    ann, bob = person(), person()
    new = {"to": bob.username, "chatId": "terminal", "message": "While you were away"}
    json_of(ann.client.post("/api/messages", new), 201)
    with chatting(stack, bob, "laptop") as theirs, chatting(stack, ann, "desk") as ours:
        assert heard(theirs) == f"{ann.username}: While you were away"
        say(ours, f"{bob.username} Are you there?")
        assert heard(ours).startswith("sent: ")
        assert heard(theirs) == f"{ann.username}: Are you there?"
        # When the service has forgotten the connection, Then the next frame ends it, and the client connects again
        (connection,) = database.connections.find({"username": bob.username})
        database.connections.delete_one({"_id": connection["_id"]})
        say(theirs, f"{ann.username} Yes.")
        assert heard(ours) == f"{bob.username}: Yes."
        assert heard(theirs).startswith("sent: ")
        say(ours, "nobody-of-this-name Hello")
        assert heard(ours).startswith("refused: ")
    # Then another device gets all of it
    with chatting(stack, bob, "tablet") as tablet:
        assert [heard(tablet) for _ in range(2)] == [
            f"{ann.username}: While you were away",
            f"{ann.username}: Are you there?",
        ]
    eventually(lambda: database.messages.count_documents({"to": connection["account"], "rank": {"$gt": 0}}) == 0)
