"""A committed write always reaches its followers: lists, history, and the queues that subscribed to its events.

Shown by killing the committing and the projecting process, and by repeated batches in any order. History is written
after the events are published (tests/unit/core/records/test_project.py), so a version in the history has been
published.
"""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
import requests

from chalicelib.core.records.models import key
from chalicelib.core.runtime import ids
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client
from tests.support.kill import kill, write_blocked
from tests.support.records import DOC, KIND, RECORDED, TrackedRecords, paused, project, stream_record
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APPLICATIONS = "/api/applications"

#: The size of a batch of the stream; more than history takes in a single call.
BATCH = 50


def test_a_killed_projector_leaves_no_version_out(stack: Stack, tracked: TrackedRecords, figure: Figure) -> None:
    # Given
    kills, rng, cut_off = times(100), random.Random(5), Counter[str]()
    record_ids = [tracked.make() for _ in range(BATCH)]
    eventually(lambda: not any(tracked.ids_behind(record_ids)))
    for number in range(kills):
        rng.shuffle(record_ids)
        # When the projector is killed while writing the view, or the history
        (_kill_before_view, _kill_before_history)[number % 2](stack, tracked, record_ids)
        # The stream's next attempt comes a second later
        unshown, unwritten = tracked.ids_behind(record_ids)
        cut_off.update({"view": bool(unshown), "history": bool(unwritten - unshown)})
        # Then that attempt projects the missing versions
        eventually(lambda: not any(tracked.ids_behind(record_ids)), every_seconds=0.1)
    # And system of record, view and history agree on every record and version
    tracked.wait_until_projected(record_ids)
    expected = list(range(1, kills + 2))
    for record_id in record_ids:
        assert [(version.doc or {})["termMonths"] for version in tracked.versions(record_id)] == expected
    where = f"{cut_off['view']} left the view behind, {cut_off['history']} what was shown without its history"
    figure("projectors killed", f"{kills} in {kills * BATCH} changes: {where}; all of it shown and written after")
    assert cut_off["view"] >= kills // 2
    assert cut_off["history"] > 0


def _kill_before_view(stack: Stack, tracked: TrackedRecords, record_ids: Sequence[str]) -> None:
    """Change every record, and kill the projector while the write of the last copy is blocked."""
    with write_blocked(tracked.copies, record_ids[-1]) as copy:
        _change(stack, tracked, record_ids)
        copy.until_wanted()
        assert kill(stack, "project")
        copy.refuse()


def _kill_before_history(stack: Stack, tracked: TrackedRecords, record_ids: Sequence[str]) -> None:
    """Change every record, and kill the projector after the first write to the view."""
    match = {"$match": {"documentKey._id": {"$in": list(record_ids)}}}
    with tracked.copies.watch([match]) as changes:
        _change(stack, tracked, record_ids)
        changes.next()
        assert kill(stack, "project")


def _change(stack: Stack, tracked: TrackedRecords, record_ids: Sequence[str]) -> None:
    """Commit the next version of each record, so that the stream delivers all versions in a single batch."""
    with paused(stack, "project"):
        tracked.change(*record_ids[1:])
    # The last change wakes the reader of the stream.
    tracked.change(record_ids[0])


def test_repeated_unordered_batches_never_set_the_view_back(
    stack: Stack, tracked: TrackedRecords, figure: Figure
) -> None:
    count, rng, marker = times(100), random.Random(7), ids.new_id()
    with tracked.copies.watch() as changes:
        with paused(stack, "project"):
            # Given states of records, half of them deleted at last, withheld from the deployed projector
            lives = [_committed_states(tracked, deleted=bool(number % 2)) for number in range(count)]
            states = [state for life in lives for state in life] * 2
            rng.shuffle(states)
            # When each state is projected twice, in random order, by several processes at once
            batches = [states[start : start + 10] for start in range(0, len(states), 10)]
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda batch: project(stack, batch), batches))
            record_ids = [life[0]["dynamodb"]["Keys"]["pk"]["S"].partition("#")[2] for life in lives]
            # Then view and history are complete
            assert tracked.differences(record_ids) == []
        # And when the stream delivers the states again
        last = tracked.make()
        tracked.wait_until_projected([last, *record_ids])
        # No copy ever went back to an older version, and no copy of a deleted record returned
        tracked.copies.insert_one({"_id": marker})
        seen: dict[str, list[int]] = {}
        while (change := changes.next())["documentKey"]["_id"] != marker:
            assert change["operationType"] in {"insert", "replace"}
            copy = change["fullDocument"]
            seen.setdefault(copy["_id"], []).append(copy["version"])
        tracked.copies.delete_one({"_id": marker})
    for record_id, versions in seen.items():
        assert versions == sorted(set(versions)), f"the copy of {record_id} had the versions {versions}"
    skipped = sum(len(life) for life in lives) - sum(len(seen[record_id]) for record_id in record_ids)
    figure(
        "batches twice and out of order",
        f"{len(states)} states of {count} records in {len(batches)} batches by 4 at once; {skipped} never shown "
        "as a later one was, no copy went back",
    )


def _committed_states(tracked: TrackedRecords, *, deleted: bool) -> list[dict[str, Any]]:
    """Commit a record and several versions; return the stream record of each."""
    images = [tracked.image(record_id := tracked.make())]
    for _ in range(5):
        tracked.change(record_id)
        images.append(tracked.image(record_id))
    if deleted:
        tracked.remove(record_id)
        images.append(tracked.image(record_id))
    return [
        stream_record(RECORDED[0], images[0]),
        *(stream_record(RECORDED[1], *pair[::-1]) for pair in pairwise(images)),
    ]


def test_a_commit_of_a_process_killed_before_its_view_is_shown(
    stack: Stack, admin: Client, tracked: TrackedRecords, figure: Figure
) -> None:
    kills, cut_off, unshown = times(100), 0, 0
    lives: dict[str, int] = {}
    with paused(stack, "project"), ThreadPoolExecutor(1) as pool:
        for number in range(kills):
            # Given a warm process, and a change: a creation, an update or a deletion
            record_id = list(lives)[-1] if number % 3 else ids.new_id()
            lives[record_id] = lives.get(record_id, 0) + 1
            eventually(lambda: admin.get("/api/sessions/current").status_code == 200)
            with write_blocked(tracked.copies, record_id) as copy:
                # When the process is killed after its commit, before the write to the view
                calls = (_create, _update, _delete)
                answer = pool.submit(calls[number % 3], admin, record_id)
                copy.until_wanted()
                assert kill(stack, "api")
                copy.refuse()
            cut_off += answer.result().status_code == 502
            # Then the change is committed, and the view lacks the change
            assert tracked.version(record_id) == lives[record_id]
            unshown += tracked.ids_behind([record_id])[0] == {record_id}
    # And once the stream has caught up, system of record, view and history agree on every version
    tracked.wait_until_projected(list(lives))
    figure(
        "processes killed between commit and view",
        f"{kills}, {cut_off} before they could answer, {unshown} with the view behind; all of it shown and written",
    )
    assert unshown == kills
    assert cut_off > 0


def _create(caller: Client, record_id: str) -> requests.Response:
    return caller.post(APPLICATIONS, {**DOC, "applicationId": record_id})


def _update(caller: Client, record_id: str) -> requests.Response:
    return caller.call("PUT", f"{APPLICATIONS}/{record_id}", {"version": 1, "termMonths": 2})


def _delete(caller: Client, record_id: str) -> requests.Response:
    return caller.delete(f"{APPLICATIONS}/{record_id}?version=2")


def test_an_item_removed_by_dynamodb_or_an_operator_stays_in_view(stack: Stack, tracked: TrackedRecords) -> None:
    # Given
    record_id = tracked.make()
    tracked.wait_until_projected([record_id])
    copy = tracked.read_copy(record_id)
    removed = stream_record(RECORDED[3], None, tracked.image(record_id))
    assert removed["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    # When the item is removed by its time to live and by an operator, with changes of other records before and after
    others = [tracked.make() for _ in range(2)]
    project(stack, [stream_record(RECORDED[0], tracked.image(others[0])), removed])
    tracked.table.delete(key(KIND, record_id), when="", values={})
    tracked.change(others[1])
    # Then the other records are projected, and the copy stays until a reconciliation pass
    tracked.wait_until_projected(others, deadline_seconds=20)
    assert tracked.read_copy(record_id) == copy
    tracked.copies.delete_one({"_id": record_id})
