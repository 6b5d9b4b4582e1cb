"""The clock of a lab: all processes jump together, forward alone, and never under running work."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.records.view import collection_of
from infra.local.lab.clock import Backwards, ClockAhead
from infra.local.lab.emulator import Busy
from infra.local.lab.lab import Lab
from infra.local.stack import Stack
from tests.support.approvals import create_request, read_request, request_path, waiting
from tests.support.client import Client, json_of
from tests.support.records import KIND
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: Stores keep milliseconds.
_ROUNDED = timedelta(milliseconds=2)
#: The time between asking two processes for theirs, on a busy machine.
_BETWEEN = timedelta(seconds=5)


def test_every_process_shows_the_new_time_after_a_jump(
    lab: Lab, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    caller, asked = person("service").client, person().username
    for hours in (1, 24):
        # When
        target = lab.now() + timedelta(hours=hours)
        lab.advance_to(target)
        # Then the emulator, mongod and a function show times of this moment
        before = lab.now()
        (found,) = database.aggregate([{"$documents": [{"now": "$$NOW"}]}])
        made = read_request(caller, create_request(caller, asked, timeoutMs=1_000))
        shown = (lab.endpoint.work().now, found["now"], datetime.fromisoformat(made["createdAt"]))
        assert target <= before
        assert all(before - _ROUNDED <= each <= lab.now() for each in shown), (before, shown)


def test_a_blind_jump_is_refused_while_work_runs(lab: Lab, person: NewPerson) -> None:
    # Given a caller who waits for an answer
    caller, asked = person("service").client, person().username
    request_id = create_request(caller, asked, timeoutMs=60_000)
    before = lab.clock.offset_seconds
    with waiting(lambda: caller.get(request_path(request_id) + "?waitMs=4000")) as answer:
        eventually(lambda: any("function api" in words for words in lab.endpoint.work().running))
        # When
        with pytest.raises(Busy, match="function api"):
            lab.jump_to(lab.now() + timedelta(hours=1))
        # Then the clock and the caller are left alone
        assert lab.clock.offset_seconds == before
        assert json_of(answer.result())["status"] == "pending"
    # And the jump succeeds afterwards
    eventually(lambda: _jumped(lab, timedelta(hours=1)), retry=Busy)
    assert lab.clock.offset_seconds >= before + 3_590


def test_a_jump_to_a_former_time_is_refused(lab: Lab) -> None:
    before = lab.clock.offset_seconds
    with pytest.raises(Backwards, match="only goes forward"):
        lab.advance(seconds=-1)
    with pytest.raises(Backwards, match="only goes forward"):
        lab.jump_to(lab.now() - timedelta(days=1))
    assert lab.clock.offset_seconds == before


def test_a_stack_at_real_time_refuses_a_clock_ahead(lab: Lab, stack: Stack) -> None:
    lab.advance(minutes=1)
    with pytest.raises(ClockAhead, match="Add --lab"):
        Stack(stack.folder)


def test_a_missing_copy_is_restored_by_the_hourly_pass(
    lab: Lab, admin: Client, database: Database[dict[str, Any]]
) -> None:
    # Given an application whose copy was lost
    loan = {"applicantName": "Ada", "email": "ada@example.org", "amountMinor": 1, "currency": "EUR", "termMonths": 1}
    application_id = json_of(admin.post("/api/applications", loan), 201)["applicationId"]
    lab.endpoint.rest()
    # A pass of reconciliation just before begins the hour.
    lab.advance(hours=2)
    copies = database[collection_of(KIND)]
    assert copies.delete_one({"_id": application_id}).deleted_count == 1
    # When 58 minutes pass, then another four
    lab.advance(minutes=58)
    missing = copies.find_one({"_id": application_id}) is None
    lab.advance(minutes=4)
    # Then
    assert missing
    assert copies.find_one({"_id": application_id})


def test_a_year_passes_in_one_jump(lab: Lab, person: NewPerson, sign_in: Callable[[], Client]) -> None:
    # Given a request that ends within the year
    caller, asked, began = person("service").client, person().username, lab.now()
    request_id = create_request(caller, asked, timeoutMs=7 * 86_400_000)
    # When
    visits = lab.advance(days=365)
    # Then the end of the request was visited at its moment, and the year has no other due moments
    ends = [visit for visit in visits if timedelta(days=6) < visit.moment - began < timedelta(days=8)]
    assert [visit.reasons for visit in ends[:1]] == [("approvals",)]
    assert abs(ends[0].moment - began - timedelta(days=7)) < _BETWEEN
    assert len(visits) < 10
    assert timedelta(days=365) <= lab.now() - began < timedelta(days=365, minutes=5)
    # And the stack serves: a session opens, a request is made, the purged request is gone
    assert json_of(sign_in().get("/api/sessions/current"))["username"] == "admin"
    made = read_request(caller, create_request(caller, asked, timeoutMs=1_000))
    assert abs(datetime.fromisoformat(made["createdAt"]) - lab.now()) < timedelta(minutes=1)
    assert caller.get(request_path(request_id)).status_code == 404
    assert datetime.now(UTC) < lab.now()


def _jumped(lab: Lab, by: timedelta) -> bool:
    """Jump blindly; Busy if the emulator's own schedule runs just then."""
    lab.jump_to(lab.now() + by)
    return True
