"""Workers killed at a chosen moment of their work."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from infra.local.stack import Stack
from tests.support.stack import STAGE
from tests.support.waiting import eventually


def kill(stack: Stack, function: str) -> int:
    """Kill every worker of *function* with SIGKILL; return the number killed."""
    pids = stack.workers(f"holdfast-{STAGE}-{function}")
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def kill_caller(stack: Stack, function: str, caller: tuple[str, int]) -> int:
    """Kill the worker of *function* whose connection has the address *caller*; return the number killed."""
    for pid in stack.workers(f"holdfast-{STAGE}-{function}"):
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(pid)
            if any(each.laddr == caller for each in worker.net_connections("tcp4")):
                worker.kill()
                return 1
    return 0


def kill_at_change(
    stack: Stack,
    function: str,
    collection: Collection[dict[str, Any]],
    change: Mapping[str, Any],
    act: Callable[[], Any] = lambda: None,
) -> int:
    """Call *act*, and kill every worker of *function* at the next *change* of *collection*; return the number killed.

    *change* is a query of change events.
    """
    with collection.watch([{"$match": change}], max_await_time_ms=500) as changes:
        act()
        # A killed function's messages come again first.
        eventually(changes.try_next, 300, every_seconds=0.001)
    return kill(stack, function)


class BlockedDocument:
    """A document locked by an open transaction, so that other writes wait."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._collection, self._admin = collection, collection.database.client.admin

    def waiting(self) -> list[int]:
        """Return the ids of operations waiting for the document."""
        found = self._admin.aggregate(
            [
                {"$currentOp": {"allUsers": True}},
                {"$match": {"ns": self._collection.full_name, "op": "update", "active": True}},
            ]
        )
        return [operation["opid"] for operation in found]

    def until_wanted(self) -> None:
        """Wait until an operation waits for the document."""
        eventually(self.waiting, every_seconds=0.001)

    def refuse(self) -> None:
        """Fail the waiting operations, whose clients are dead."""
        for operation in self.waiting():
            with suppress(OperationFailure):
                self._admin.command("killOp", op=operation)


@contextmanager
def write_blocked(collection: Collection[dict[str, Any]], document_id: str) -> Iterator[BlockedDocument]:
    """Block writes and inserts of the document until the block ends; the document stays unchanged."""
    with collection.database.client.start_session() as session:
        session.start_transaction()
        mark = {"$set": {"held": ObjectId()}}
        if not collection.update_one({"_id": document_id}, mark, session=session).matched_count:
            collection.insert_one({"_id": document_id}, session=session)
        document = BlockedDocument(collection)
        try:
            yield document
        finally:
            session.abort_transaction()
        # For a new document, a killed operation ends only now.
        eventually(lambda: not document.waiting(), every_seconds=0.001)
