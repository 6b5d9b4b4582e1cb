"""No slice has work due earlier than its `next_due` says, whatever was asked, answered and swept before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto.backends import get_backend
from pymongo.database import Database

from chalicelib import slices
from chalicelib.approvals import outbox, worker
from chalicelib.approvals.queues import APPROVAL, CALLBACK, PUSH
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import ids
from chalicelib.core.web.roles import Role
from chalicelib.users import revocation
from chalicelib.users.store import UserStore
from tests.unit.approvals.build import PERSON, answer, cancel, put
from tests.unit.conftest import STAGE

Mongo = Database[dict[str, Any]]
DAY_MS = 86_400_000

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")

#: A question: its time, its escalations, whether it has a callback, and its end.
QUESTIONS = st.tuples(
    st.integers(2_000, DAY_MS),
    st.lists(st.floats(0.1, 0.9), max_size=2),
    st.booleans(),
    st.sampled_from(["pending", "answered", "cancelled", "dispatched"]),
)


def ask(approvals: ApprovalStore, question: tuple[int, list[float], bool, str]) -> None:
    timeout_ms, escalations, called_back, end = question
    steps = [{"username": "eve", "afterMs": max(1_000, int(timeout_ms * part))} for part in escalations]
    url = "https://hooks.example/x" if called_back else None
    request_id = put(approvals, timeout_ms, timeoutMs=timeout_ms, escalate_to=steps, callback_url=url)
    if end == "answered":
        answer(approvals, request_id, "approve", PERSON)
    elif end == "cancelled":
        cancel(approvals, request_id, None)
    elif end == "dispatched":
        outbox.dispatch(approvals.get(request_id))


def let_pass(mongodb: Mongo, by: timedelta) -> None:
    """Set every stored moment back by *by*."""
    by_ms = round(by.total_seconds() * 1000)
    moments = {name: {"$subtract": [f"${name}", by_ms]} for name in ("createdAt", "expiresAt")}
    due, held = ({"$subtract": [f"$$this.{name}", by_ms]} for name in ("due", "heldUntil"))
    entries = {"$map": {"input": "$outbox", "in": {"$mergeObjects": ["$$this", {"due": due, "heldUntil": held}]}}}
    mongodb.approvals.update_many({}, [{"$set": {**moments, "outbox": entries}}])


def take_messages() -> list[float]:
    """Take every message; return the seconds for which SQS still holds each. Only moto's own state shows them."""
    queues, now = get_backend("sqs")["123456789012"]["us-east-1"].queues, datetime.now(UTC).timestamp()
    found: list[float] = []
    for queue in (APPROVAL, PUSH, CALLBACK):
        messages = queues[f"holdfast-{STAGE}-{queue.name}"]._messages
        found += [message.delayed_until / 1000 - now for message in messages]
        messages.clear()
    return found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(QUESTIONS, min_size=1, max_size=4), st.lists(st.integers(5, 100), min_size=2, max_size=5))
# The end of a question without a callback has no entry in the outbox.
@example([(60_000, [], False, "pending")], [10, 10])
def test_nothing_is_due_before_next_due_says(
    approvals: ApprovalStore, mongodb: Mongo, questions: list[tuple[int, list[float], bool, str]], waits: list[int]
) -> None:
    mongodb.approvals.delete_many({})
    for question in questions:
        ask(approvals, question)
    for seconds in waits:
        take_messages()
        due = worker.next_due()
        if due is None:
            # Then nothing is left to do, ever.
            let_pass(mongodb, timedelta(days=8))
            assert (worker.sweep(), take_messages()) == (0, [])
            return
        # Until some seconds before the moment, the sweep finds nothing due
        let_pass(mongodb, due - datetime.now(UTC) - timedelta(seconds=seconds))
        assert worker.sweep() == 0
        assert all(delay > seconds - 3 for delay in take_messages())
        # At the moment, the work is done
        let_pass(mongodb, timedelta(seconds=seconds + 1))
        first = worker.next_due()
        assert first is not None
        assert first <= datetime.now(UTC)
        worker.sweep()
        end_due(mongodb)


def end_due(mongodb: Mongo) -> None:
    """End the entries that are due, as their workers do."""
    mongodb.approvals.update_many({}, {"$pull": {"outbox": {"due": {"$lte": datetime.now(UTC)}}}})


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=5)])
def test_a_pending_revocation_is_due_whatever_clock_wrote_it(
    users: UserStore, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    assert (revocation.next_due(), revocation.sweep()) == (None, 0)
    users.add("ann", "a hash", [Role.USER])
    made = ids.made_at
    monkeypatch.setattr(ids, "made_at", lambda epoch: made(epoch) + ahead)
    users.change("ann", password_hash="new", roles=None)
    due = revocation.next_due()
    assert due is not None
    assert due <= datetime.now(UTC)
    assert (revocation.sweep(), revocation.next_due()) == (1, None)


def test_every_slice_with_due_moments_is_tested() -> None:
    # The others have tests in their own folders: next_due of webhooks, sweep of sockets, notices of messages, and the
    # API of activation.
    here, others = {"approvals", "users"}, {"webhooks", "sockets", "messages", "activation"}
    assert {sweep.name for sweep in slices.sweeps() if sweep.next_due} == here | others
