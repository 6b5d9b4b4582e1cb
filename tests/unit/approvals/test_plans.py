"""Every query of the store uses its index: the recorded commands are explained by the server."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.approvals.models import Status
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import id_of_name
from infra.local.processes.mongod import Mongod
from tests.support.mongodb_commands import Plan, explained, recording_commands
from tests.unit.approvals.build import ago, answer, answer_oldest, cancel, listed

Mongo = Database[dict[str, Any]]
StoreCall = Callable[[ApprovalStore], object]


@pytest.fixture
def explain(mongod: Mongod, many: None) -> Callable[[StoreCall], Plan]:
    """Explain the first command of a call to the store."""

    def explain(ask: StoreCall) -> Plan:
        with recording_commands(mongod.uri) as (client, sent):
            ask(ApprovalStore(client.get_default_database().approvals, ApprovalSettings()))
            return explained(client, sent.commands[0])

    return explain


@pytest.fixture
def many(mongodb: Mongo) -> None:
    """Six thousand requests of forty people; most are settled, some pending, a few overdue."""
    states = ["resolved"] * 7 + ["timeout"] * 2 + ["cancelled"] * 2 + ["pending"]
    documents = [
        _stored(f"person-{number % 40}", states[number // 40 % len(states)], number) for number in range(6_000)
    ]
    mongodb.approvals.insert_many(documents)


def _stored(username: str, status: str, number: int) -> dict[str, Any]:
    overdue = number < 1_000
    return {
        "_id": ids.new_id(),
        "username": username,
        "title": "",
        "body": "",
        "data": "{}",
        "actions": ["approve"],
        "approving": "approve",
        "people": [username],
        "accounts": [id_of_name(username)],
        "createdByAccount": id_of_name("svc"),
        "escalatedAccounts": [],
        "required": 1,
        "escalateTo": [],
        "answers": [],
        "operations": [],
        "callbackUrl": None,
        "outbox": [],
        "status": status,
        "action": None,
        "createdBy": "svc",
        "createdAt": ago(hours=1),
        "expiresAt": ago(minutes=1) if overdue else ago() + timedelta(hours=1),
        "resolvedAt": None,
        "responseMs": None,
        "purgeAt": ago() + timedelta(days=1),
    }


def test_a_page_of_a_user_reads_no_more_than_its_items(explain: Callable[[StoreCall], Plan]) -> None:
    plan = explain(lambda store: listed(store, id_of_name("person-7"), None, 20, None))
    assert (plan.indexes, "SORT" in plan.names) == ({"newest-of-account"}, False)
    assert plan.examined <= 20


@pytest.mark.parametrize("status", [Status.RESOLVED, Status.CANCELLED])
def test_a_page_of_a_status_reads_no_more_than_its_items(explain: Callable[[StoreCall], Plan], status: Status) -> None:
    plan = explain(lambda store: listed(store, None, status, 20, None))
    assert (plan.indexes, "SORT" in plan.names) == ({"newest-of-status"}, False)
    assert plan.examined <= 20


def test_a_page_of_timeouts_merges_the_recorded_and_the_overdue(explain: Callable[[StoreCall], Plan]) -> None:
    plan = explain(lambda store: listed(store, None, Status.TIMEOUT, 20, None))
    assert (plan.indexes, "SORT" in plan.names) == ({"newest-of-status"}, False)


def test_a_page_of_pending_requests_reads_pending_requests_alone(explain: Callable[[StoreCall], Plan]) -> None:
    plan = explain(lambda store: listed(store, None, Status.PENDING, 20, None))
    assert "SORT" not in plan.names
    assert plan.examined <= 500


def test_a_page_of_all_requests_follows_the_time_index(explain: Callable[[StoreCall], Plan]) -> None:
    plan = explain(lambda store: listed(store, None, None, 20, None))
    assert (plan.indexes, "SORT" in plan.names) == ({"newest"}, False)
    assert plan.examined <= 20


def test_answer_oldest_reads_the_users_pending_requests_alone(explain: Callable[[StoreCall], Plan]) -> None:
    plan = explain(lambda store: answer_oldest(store, "person-7", "approve"))
    assert (plan.indexes, "SORT" in plan.names) == ({"pending-of-account"}, False)
    assert plan.examined <= 12


def test_the_sweep_reads_overdue_requests_alone(explain: Callable[[StoreCall], Plan], mongodb: Mongo) -> None:
    # Given
    overdue = mongodb.approvals.count_documents({"status": "pending", "expiresAt": {"$lt": ago()}})
    # When
    plan = explain(lambda store: store.expire_all())
    # Then
    assert overdue > 20
    assert plan.indexes == {"pending-by-expiry"}
    # The command is explained after its run, so no overdue request is left.
    assert plan.examined == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, one: store.get(one),
        lambda store, one: store.settled(one),
        lambda store, one: answer(store, one, "approve", None),
        lambda store, one: answer(store, one, "approve", "person-1"),
        lambda store, one: cancel(store, one, "svc"),
        lambda store, one: store.expire(one),
    ],
    ids=["get", "settled", "resolve", "resolve-own", "cancel", "expire"],
)
def test_a_single_request_is_found_by_its_id(
    explain: Callable[[StoreCall], Plan], mongodb: Mongo, ask: Callable[[ApprovalStore, str], object]
) -> None:
    newest = mongodb.approvals.find_one({"status": "pending", "username": "person-1"}, sort=[("_id", -1)])
    assert newest is not None
    plan = explain(lambda store: ask(store, newest["_id"]))
    assert plan.examined <= 1
    assert plan.indexes <= {"_id_"}
    assert "COLLSCAN" not in plan.names
