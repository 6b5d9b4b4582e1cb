"""Requests that last a week: escalated, timed out, called back and purged at their moments."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.lab.journey import TooManyVisits
from infra.local.lab.lab import Lab
from tests.support.approvals import create_request, read_request, request_path
from tests.support.client import problem_of
from tests.support.receiver import Received, Receiver
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

_DAY_MS = 86_400_000
_SOON = timedelta(minutes=1)
#: SQS delays by whole seconds, and a function may have to start first, on a busy machine.
_WITHIN = timedelta(seconds=45)
#: MongoDB removes expired documents once a minute, of real time.
_REMOVED_SECONDS = 90


def test_a_week_long_request_escalates_ends_and_goes_in_time(
    lab: Lab, receiver: Receiver, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given a request of seven days, with escalations after one, three and five days
    caller, first, *others = (person("service"), *(person() for _ in range(4)))
    escalations = [
        {"username": other.username, "afterMs": days * _DAY_MS} for other, days in zip(others, (1, 3, 5), strict=True)
    ]
    options = {"timeoutMs": 7 * _DAY_MS, "escalateTo": escalations, "callbackUrl": receiver.url}
    request_id = create_request(caller.client, first.username, **options)
    read = partial(read_request, caller.client, request_id)
    created, expires = (datetime.fromisoformat(read()[name]) for name in ("createdAt", "expiresAt"))
    assert expires - created == timedelta(days=7)
    # Then each next person is asked at the moment of the escalation, and not a minute before
    for number, days in enumerate((1, 3, 5)):
        asked = [first.username, *(other.username for other in others[:number])]
        lab.advance_to(created + timedelta(days=days) - _SOON)
        assert read()["approvers"] == asked
        lab.advance_to(created + timedelta(days=days) + _WITHIN)
        assert read()["approvers"] == [*asked, others[number].username]
    # And the request ends at its moment, by itself: the one callback comes before anybody reads
    lab.advance_to(expires - _SOON)
    assert (read()["status"], receiver.received) == ("pending", [])
    lab.advance_to(expires + _WITHIN)
    (call,) = receiver.received
    assert call.event["type"] == "approval.timeout"
    assert timedelta(0) <= _sent_at(call) - expires <= _WITHIN
    assert read()["status"] == "timeout"
    # And is readable for a day, and stored no longer
    lab.advance_to(expires + timedelta(days=1) - _SOON)
    assert read()["status"] == "timeout"
    lab.advance_to(expires + timedelta(days=1) + _SOON)
    problem_of(caller.client.get(request_path(request_id)), 404)
    eventually(lambda: database.approvals.find_one({"_id": request_id}) is None, deadline_seconds=_REMOVED_SECONDS)
    assert len(receiver.received) == 1


def test_retries_of_a_callback_come_one_after_another(lab: Lab, receiver: Receiver, person: NewPerson) -> None:
    # Given a receiver that fails three times
    receiver.answer = lambda _: (503 if len(receiver.received) <= 3 else 204, {})
    caller = person("service").client
    create_request(caller, person().username, timeoutMs=3_600_000, callbackUrl=receiver.url)
    # When a day passes in one jump
    began = lab.now()
    lab.advance(days=1)
    # Then the attempts were made at their own moments, with growing pauses
    first, *_ = moments = [_sent_at(call) for call in receiver.received]
    assert len(moments) == 4
    assert first - began >= timedelta(minutes=59)
    assert sorted(moments) == moments
    assert moments[-1] - first < timedelta(hours=12)
    assert len({call.event["id"] for call in receiver.received}) == 1


def test_a_bound_on_visits_ends_a_jump_at_the_last_visit(lab: Lab, person: NewPerson) -> None:
    # Given two requests that end on different days
    caller, username = person("service").client, person().username
    early, late = (create_request(caller, username, timeoutMs=days * _DAY_MS) for days in (1, 3))
    expires = datetime.fromisoformat(read_request(caller, early)["expiresAt"])
    # When the jump may visit one moment alone
    with pytest.raises(TooManyVisits, match="1 moments were visited"):
        lab.advance(days=4, most_visits=1)
    # Then the clock stands at that moment
    assert timedelta(0) <= lab.now() - expires <= _SOON
    assert [read_request(caller, each)["status"] for each in (early, late)] == ["timeout", "pending"]
    # And another jump goes on from there
    lab.advance(days=2)
    assert read_request(caller, late)["status"] == "timeout"


def _sent_at(call: Received) -> datetime:
    """Return when the function sent the callback, by the function's clock."""
    return datetime.fromtimestamp(int(call.headers["webhook-timestamp"]), UTC)
