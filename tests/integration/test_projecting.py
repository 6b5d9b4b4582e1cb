"""Committed versions reach lists and history by the table's stream; failed projections are repaired."""

import base64
import json
from pathlib import Path

import pytest

from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.project import Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.runtime import ids
from infra.local.stack import Stack
from tests.support.client import Client, json_of
from tests.support.records import DOC, KIND, TrackedRecords
from tests.support.stack import STAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

EVENT = Path(__file__).parent.parent / "events/sweep.json"


def test_the_mapping_reads_this_tables_stream_from_its_beginning(stack: Stack) -> None:
    table = stack.client("dynamodb").describe_table(TableName=f"holdfast-{STAGE}-records")["Table"]
    functions = stack.client("lambda")
    (mapping,) = functions.list_event_source_mappings(EventSourceArn=table["LatestStreamArn"])["EventSourceMappings"]
    assert mapping["FunctionArn"].endswith(f":holdfast-{STAGE}-project")
    assert (mapping["State"], mapping["StartingPosition"], mapping["BatchSize"]) == ("Enabled", "TRIM_HORIZON", 100)
    assert (mapping["BisectBatchOnFunctionError"], mapping["MaximumRetryAttempts"]) == (False, -1)
    assert functions.get_function_configuration(FunctionName=mapping["FunctionArn"])["Timeout"] == 60


def test_each_version_reaches_lists_and_history_by_the_stream(tracked: TrackedRecords) -> None:
    # Given
    record_id = tracked.make()
    tracked.change(record_id)
    # Then
    tracked.wait_until_projected([record_id])
    assert tracked.read_copy(record_id)["doc"] == {**DOC, "termMonths": 2}
    assert [(version.version, version.by) for version in tracked.versions(record_id)] == [(1, "ann"), (2, "bob")]
    # And after its deletion, no list has the record
    tracked.remove(record_id)
    tracked.wait_until_projected([record_id])
    assert "live" not in tracked.read_copy(record_id)
    assert tracked.versions(record_id)[-1].deleted


def test_annotations_reach_lists_and_not_history_by_the_stream(tracked: TrackedRecords) -> None:
    # Given annotations between two versions, and after them
    record_id = tracked.make()
    tracked.annotate(record_id, score=0.5)
    tracked.change(record_id)
    tracked.annotate(record_id, text="read")
    # Then
    tracked.wait_until_projected([record_id])
    assert tracked.read_copy(record_id)["annotations"] == {"score": 0.5, "text": "read"}
    assert [version.version for version in tracked.versions(record_id)] == [1, 2]


def test_an_unprojectable_item_delays_no_other_and_is_retried(admin: Client, tracked: TrackedRecords) -> None:
    # Given an item that is no record
    repaired, broken = _repaired(admin), ids.new_id()
    tracked.table.put({"pk": f"{KIND}#{broken}", "version": 1}, when="")
    # Then a later record is projected
    record_id = tracked.make()
    tracked.wait_until_projected([record_id])
    # And the item is projected after its correction
    whole = tracked.table.get(f"{KIND}#{record_id}") or {}
    tracked.table.put({**whole, "pk": f"{KIND}#{broken}"}, when="")
    eventually(lambda: _repaired(admin) > repaired)
    tracked.wait_until_projected([broken])


def _repaired(admin: Client) -> int:
    completed: int = json_of(admin.get("/api/admin/queue-stats"))["queues"]["repair"]["completed"]
    return completed


def test_a_repair_message_restores_a_missing_copy(stack: Stack, tracked: TrackedRecords) -> None:
    # Given
    record_id = _without_copy(tracked)
    # When
    mail = Sender(stack.client("sqs"), stack.environment["QUEUES_URL_PREFIX"])
    mail.send(REPAIR, Repair(kind=KIND, id=record_id, record_version=1, cause="test"))
    # Then
    tracked.wait_until_projected([record_id])


def test_a_reconciliation_pass_restores_a_missing_copy(stack: Stack, tracked: TrackedRecords) -> None:
    # Given
    record_id = _without_copy(tracked)
    # When
    answer = stack.client("lambda").invoke(
        FunctionName=f"holdfast-{STAGE}-reconcile", LogType="Tail", Payload=EVENT.read_bytes()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    # Then
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    (line,) = (json.loads(text) for text in lines if text.startswith("{") and "recordsCompared" in text)
    assert line["finished"]
    assert line["recordsRepaired"] >= 1
    assert not tracked.differences([record_id])


def _without_copy(tracked: TrackedRecords) -> str:
    """Create a record, and delete its copy after the projection."""
    record_id = tracked.make()
    tracked.wait_until_projected([record_id])
    tracked.copies.delete_one({"_id": record_id})
    return record_id
