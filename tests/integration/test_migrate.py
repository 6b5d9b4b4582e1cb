"""`scripts/migrate` and `scripts/reconcile` as separate processes, against the deployed stack."""

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from infra.host.processes import Identity
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.running_stack import Run
from tests.support.client import json_of
from tests.support.records import TrackedRecords
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
COUNT = 1_500
DOC = {
    "applicantName": "Ada Lovelace",
    "email": "ada@example.org",
    "amountMinor": 1_000_000.0,
    "currency": "EUR",
    "termMonths": 24,
    "status": "approved",
}


@pytest.fixture
def running(stack: Stack, tmp_path: Path) -> Path:
    """The data folder with the note of the running stack."""
    running_stack.write(tmp_path, Run(Identity.of(os.getpid()), stack.url, stack.environment))
    return tmp_path


@pytest.fixture
def old(database: Database[dict[str, Any]]) -> Iterator[str]:
    """The name of an existing collection, also the prefix of its ids; every hundredth document is invalid."""
    name = f"old{secrets.token_hex(4)}"
    documents = [
        {"_id": f"{name}-{number:05}", **DOC, **({} if number % 100 else {"currency": "?"})} for number in range(COUNT)
    ]
    database[name].insert_many(documents)
    yield name
    database[name].drop()


def started(name: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    # No variables of the shell: the script must find the stack by the folder alone.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [ROOT / "scripts" / name, "--data", str(folder), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(name: str, folder: Path, *arguments: str) -> tuple[int, str]:
    with started(name, folder, *arguments) as process:
        out, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err
    return process.returncode, out


def test_a_killed_migration_resumes_and_imports_each_document_once(
    running: Path, old: str, database: Database[dict[str, Any]], tracked: TrackedRecords, person: NewPerson
) -> None:
    # Given
    arguments = ["--collection", old, "--skipped", str(running / "skipped.jsonl")]
    code, out = run("migrate", running, *arguments, "--dry-run")
    assert code == 1
    assert "1,485 would be imported" in out
    ours = {"_id": {"$regex": f"^{old}-"}}
    assert tracked.copies.count_documents(ours) == 0
    # When the migration is killed in the middle
    with started("migrate", running, *arguments, "--at-once", "2") as process:
        eventually(lambda: tracked.copies.count_documents(ours) > 300)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert tracked.copies.count_documents(ours) < COUNT - 15
    # And started again
    code, out = run("migrate", running, *arguments)
    assert code == 1
    assert "resuming after" in out
    assert "1,500 documents read" in out
    # Then every record exists once, in lists and by id, and the stream has projected the records
    eventually(lambda: tracked.copies.count_documents(ours) == COUNT - 15)
    assert tracked.copies.count_documents({**ours, "version": {"$ne": 1}}) == 0
    officer = person("officer").client
    assert json_of(officer.get(f"/api/applications?q={old}&limit=1"))["total"] == COUNT - 15
    one = json_of(officer.get(f"/api/applications/{old}-00001"))
    assert (one["version"], one["createdBy"], one["status"]) == (1, "migration", "approved")
    eventually(lambda: tracked.history.page("application", f"{old}-01499", 1))
    # And the file names the invalid documents
    lines = [json.loads(line) for line in (running / "skipped.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == {f"{old}-{number:05}" for number in range(0, COUNT, 100)}
    # And a third run finds nothing to do
    code, out = run("migrate", running, *arguments)
    assert "0 imported\n  1,485 imported before\n  15 skipped" in out


def test_the_command_reconcile_restores_a_missing_copy(running: Path, tracked: TrackedRecords) -> None:
    # Given a record that lists have lost
    record_id = tracked.make()
    eventually(lambda: tracked.copies.find_one({"_id": record_id}))
    eventually(lambda: tracked.history.page("application", record_id, 1))
    tracked.copies.delete_one({"_id": record_id})
    # When
    code, out = run("reconcile", running)
    # Then
    assert tracked.copies.find_one({"_id": record_id})
    assert "lists of application" in out
    # Other tests leave malformed items behind
    assert code in {0, 1}
