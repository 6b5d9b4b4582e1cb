"""Counts of requests by state: for whom, how exact, and with bounded work."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.approvals import wiring
from chalicelib.approvals.counts import MOST
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import id_of_name, named
from chalicelib.core.web.roles import Role
from chalicelib.sessions.store import SessionStore
from chalicelib.users.store import UserStore
from infra.local.processes.mongod import Mongod
from tests.support.gateway import ask
from tests.support.mongodb_commands import explained, recording_commands
from tests.unit.approvals.build import ago, an_approval, answer, cancel, put, put_overdue

PATH = "/api/pending-responses/counts"
MANY = 3_000


@pytest.fixture
def admin(sessions: SessionStore) -> str:
    return sessions.open("admin", [Role.ADMIN], "e").token


@pytest.fixture
def ann(sessions: SessionStore) -> str:
    return sessions.open("ann", [Role.USER], "e").token


@pytest.fixture
def four(approvals: ApprovalStore, mongodb: Any) -> None:
    """A request of Ann in each state, the timeout unrecorded, and two more that wait for Ben."""
    answer(approvals, put(approvals), "approve", "ann")
    cancel(approvals, put(approvals), None)
    put(approvals)
    put_overdue(approvals, mongodb.approvals)
    for _ in range(2):
        put(approvals, username="ben")


def counted(token: str, **query: str) -> Mapping[str, int]:
    found: Mapping[str, int] = ask("GET", PATH, token=token, query=query or None).json
    return found


@pytest.mark.usefixtures("four")
def test_user_counts_own_requests_alone(ann: str) -> None:
    assert counted(ann) == {"pending": 1, "resolved": 1, "timeout": 1, "cancelled": 1}


def test_administrator_counts_all_requests_or_those_of_a_person(users: UserStore, admin: str, four: None) -> None:
    account = users.add("ben", "hash", [Role.USER]).account_id
    wiring.store().put(ids.new_id(), an_approval(username="ben"), named("svc"), {"ben": account})
    assert counted(admin) == {"pending": 4, "resolved": 1, "timeout": 1, "cancelled": 1}
    assert counted(admin, username="ben") == {"pending": 1, "resolved": 0, "timeout": 0, "cancelled": 0}
    assert sum(counted(admin, username="nobody").values()) == 0


def test_user_cannot_count_requests_of_others(ann: str) -> None:
    assert ask("GET", PATH, token=ann, query={"username": "ben"}).status == 403


def test_recorded_timeout_counts_once(approvals: ApprovalStore, mongodb: Any, ann: str) -> None:
    put_overdue(approvals, mongodb.approvals)
    before = counted(ann)
    assert approvals.expire_all() == 1
    assert counted(ann) == before == {"pending": 0, "resolved": 0, "timeout": 1, "cancelled": 0}


def test_request_that_is_no_longer_kept_is_not_counted(approvals: ApprovalStore, mongodb: Any, ann: str) -> None:
    answer(approvals, put(approvals), "approve", "ann")
    mongodb.approvals.update_many({}, {"$set": {"readableUntil": ago(seconds=1)}})
    assert counted(ann)["resolved"] == 0


@pytest.fixture
def many(mongodb: Any) -> None:
    """Thousands of requests of Ann and of Ben, resolved and pending, and one that was cancelled."""
    states = ["resolved", "pending"]
    mongodb.approvals.insert_many(
        _stored(("ann", "ben")[number % 2], states[number // 2 % 2]) for number in range(4 * MANY)
    )
    mongodb.approvals.insert_one(_stored("ann", "cancelled"))


def _stored(username: str, status: str) -> dict[str, Any]:
    later = ago() + timedelta(hours=1)
    settled = None if status == "pending" else ago(minutes=1)
    shown = {"status": status, "accounts": [id_of_name(username)], "createdAt": ago(hours=1), "resolvedAt": settled}
    return shown | {"_id": ids.new_id(), "expiresAt": later, "purgeAt": later, "readableUntil": later}


@pytest.mark.usefixtures("many")
def test_count_ends_at_its_limit(admin: str, ann: str) -> None:
    expected = {"pending": MOST, "resolved": MOST, "timeout": 0, "cancelled": 1}
    assert counted(admin) == expected
    assert counted(ann) == expected


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("account", [None, "ann"])
def test_work_of_a_count_is_bounded_for_any_list(mongod: Mongod, account: str | None) -> None:
    with recording_commands(mongod.uri) as (client, sent):
        store = ApprovalStore(client.get_default_database().approvals, ApprovalSettings())
        store.count(account and id_of_name(account))
        assert sent.names() == ["aggregate"]
        plans = [explained(client, command) for command in _separate(sent.commands[0])]
    assert not [plan.names for plan in plans if "COLLSCAN" in plan.names]
    assert sorted(plan.examined for plan in plans) == [0, 1, MOST, MOST]


def _separate(command: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a command for each state: the server explains no part of a union."""
    stages = command["pipeline"]
    joined = [stage["$unionWith"]["pipeline"] for stage in stages if "$unionWith" in stage]
    for pipeline in ([stage for stage in stages if "$unionWith" not in stage], *joined):
        yield {**command, "pipeline": pipeline}
