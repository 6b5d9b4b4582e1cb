"""Bulk creation of applications in system of record and view, past the API, in the form of the stores' own writes."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import boto3
from botocore.config import Config
from pymongo import MongoClient

from chalicelib.applications.models import Status
from chalicelib.applications.search import KIND
from chalicelib.core.records.codec import fields_of, record_of
from chalicelib.core.records.models import Record, key
from chalicelib.core.records.view import View
from chalicelib.core.runtime.settings import RecordSettings
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table
from infra.deployment.indexes import ensure
from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.benchmarks.report import CONSOLE

#: The number of first names, evenly distributed.
FIRST_NAMES = 50
#: The beginning of about half of the first names.
HALF = "givenb"
#: In every e-mail address.
EVERYWHERE = "example"
#: The status of a tenth of the applications.
RARE = Status.REVIEW
_LAST_NAMES = 2_000
_STATUSES = {"draft": 30, "submitted": 25, "review": 10, "approved": 15, "rejected": 15, "disbursed": 5}
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_CHUNK, _THREADS = 1_000, 4


class Seed:
    """Applications by number. A number stands for the same application in every run."""

    def __init__(self, stack: Stack) -> None:
        keys = stack.environment
        client: Any = boto3.client(
            "dynamodb",
            endpoint_url=stack.endpoint_url,
            region_name=keys["AWS_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(max_pool_connections=_THREADS),
        )
        self._stack, self._client = stack, client
        self.table = Table(client, f"holdfast-{stack.stage}-records")
        mongo: MongoClient[dict[str, Any]] = MongoClient(stack.mongodb_uri, w=1)
        self._view = View(lambda: mongo[DATABASE], {KIND.name: KIND}, RecordSettings())
        self.count = 0

    def grow(self, size: int) -> None:
        """Add applications until there are *size*.

        Raises:
            AssertionError: system of record or view has another number of applications.
        """
        # Indexes built at the end cost a fraction of indexes updated copy by copy.
        self._view.of(KIND.name).drop_indexes()
        with _unfollowed(self._stack):
            self._grow(size)
        CONSOLE.log("indexes")
        ensure(self._view.of(KIND.name).database)
        self.count = size
        table = self._client.describe_table(TableName=self.table.name)["Table"]
        copies = self._view.of(KIND.name).count_documents({"live": True})
        assert (table["ItemCount"], copies) == (size, size), f"{table['ItemCount']} and {copies} instead of {size}"

    def forget(self, record_id: str) -> None:
        """Delete the application from system of record and view, without a tombstone; its history stays."""
        self.table.batch_write([], [{"pk": key(KIND.name, record_id)}])
        self._view.of(KIND.name).delete_one({"_id": record_id})

    def _grow(self, size: int) -> None:
        steps: list[Callable[[list[Record]], None]] = [self._put, self._show]
        chunks = (
            [_record(number) for number in range(start, min(start + _CHUNK, size))]
            for start in range(self.count, size, _CHUNK)
        )
        done, reported = self.count, 0
        with ThreadPoolExecutor(_THREADS) as pool:
            running: set[Future[None]] = set()
            for chunk in chain(chunks, [[]]):
                running |= {pool.submit(step, chunk) for step in steps if chunk}
                # A few chunks ahead, to bound the memory.
                while len(running) > (2 * _THREADS if chunk else 0):
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                done += len(chunk)
                if (tenth := done * 10 // size) > reported:
                    reported = tenth
                    CONSOLE.log(f"{done:,} of {size:,} applications")

    def _put(self, chunk: list[Record]) -> None:
        self.table.batch_write([_item(record) for record in chunk])

    def _show(self, chunk: list[Record]) -> None:
        failed = self._view.apply(chunk)
        assert not failed, failed[0]


def application_id(number: int) -> str:
    """Return the id of the application *number*."""
    return f"{number:026d}"


def first_name(number: int) -> str:
    """Return first name *number* of `FIRST_NAMES`."""
    return f"given{chr(97 + number // 26)}{chr(97 + number % 26)}"


def _record(number: int) -> Record:
    rng = random.Random(number)
    at = (_EPOCH + timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    first, last = first_name(rng.randrange(FIRST_NAMES)), f"family{rng.randrange(_LAST_NAMES)}"
    operation = f"seed{number:022d}"
    return Record(
        kind=KIND.name,
        id=application_id(number),
        version=1,
        doc={
            "applicantName": f"{first.title()} {last.title()}",
            "email": f"{first}.{last}@{EVERYWHERE}.org",
            "amountMinor": rng.randrange(10_000, 10_000_000),
            "currency": "EUR",
            "termMonths": rng.randrange(6, 120),
            "incomeMinor": rng.randrange(100_000, 1_000_000),
            "status": rng.choices(list(_STATUSES), list(_STATUSES.values()))[0],
        },
        created_at=at,
        created_by="admin",
        updated_at=at,
        updated_by="admin",
        operation=operation,
        made=operation,
    )


def _item(record: Record) -> Item:
    """Return *record* in the form of the store's own writes."""
    return {
        "pk": key(record.kind, record.id),
        "doc": fields_of(record.doc),
        "annotations": {},
        "version": record.version,
        "createdAt": record.created_at,
        "createdBy": record.created_by,
        "updatedAt": record.updated_at,
        "updatedBy": record.updated_by,
        "operation": record.operation,
        "made": record.made,
        "hops": record.hops,
    }


def check(written: Item) -> None:
    """Compare the form of seeded items with *written*, an item of the store.

    Raises:
        AssertionError: the forms differ.
    """
    record = record_of(written)
    assert _item(record) == written, "the store writes items of another form"


@contextmanager
def _unfollowed(stack: Stack) -> Iterator[None]:
    """Disable the table's stream within the block; then enable a new stream with the projector as before.

    With a paused projector alone, the emulator would keep every change in memory.
    """
    tables, functions = stack.client("dynamodb"), stack.client("lambda")
    table, function = f"holdfast-{stack.stage}-records", f"holdfast-{stack.stage}-project"
    (mapping,) = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])
    tables.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    try:
        yield
    finally:
        wanted = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        tables.update_table(TableName=table, StreamSpecification=wanted)
        functions.create_event_source_mapping(
            FunctionName=function,
            EventSourceArn=tables.describe_table(TableName=table)["Table"]["LatestStreamArn"],
            StartingPosition="TRIM_HORIZON",
            BatchSize=mapping["BatchSize"],
        )
