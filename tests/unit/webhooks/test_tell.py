"""The outcome of a question becomes an event for webhooks, by way of the outbox."""

import json
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals import worker as approvals_worker
from chalicelib.approvals.queues import Task
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import hops, logs
from tests.support.gateway import Context
from tests.support.queue import record
from tests.unit.approvals.build import PERSON, answer, cancel, put, put_overdue
from tests.unit.webhooks.build import add_webhook
from tests.unit.webhooks.test_accept import accept, deliveries, waiting


def tell(request_id: str) -> None:
    """Run the worker of approvals on the effect."""
    context: Any = Context(50_000)
    message = {**record("x", "m-1"), "body": Task(request_id=request_id, effect="tell").model_dump_json()}
    assert approvals_worker.work(SQSEvent({"Records": [message]}, context)) == {"batchItemFailures": []}


@pytest.mark.parametrize("outcome", ["resolved", "timeout"])
def test_an_outcome_is_told_with_the_public_document(approvals: ApprovalStore, stores: Any, outcome: str) -> None:
    # Given
    webhook = add_webhook(events=[f"approval.{outcome}"])
    if outcome == "resolved":
        answer(approvals, request_id := put(approvals), "approve", PERSON)
    else:
        request_id = put_overdue(approvals, stores.approvals)
        approvals.expire_all()
    document = approvals.get(request_id).approval
    # When the effect comes twice
    tell(request_id)
    tell(request_id)
    accept(waiting())
    # Then
    assert deliveries(stores, webhook) == [(f"approval.{outcome}", document.model_dump(mode="json"))]
    assert approvals_wiring.outbox().next_due() is None


def test_a_cancelled_question_is_told_to_no_webhook(approvals: ApprovalStore, stores: Any) -> None:
    request_id = put(approvals)
    cancel(approvals, request_id, None)
    # Connections are told, by the same effect.
    tell(request_id)
    assert waiting() == []
    assert approvals.get(request_id).entries == ()


@pytest.mark.parametrize("by", ["question", "answer"])
def test_hops_go_from_the_call_to_the_event(approvals: ApprovalStore, stores: Any, by: str) -> None:
    # Given a question, or its answer, that a delivery led to
    del stores
    with logs.invocation("request") as line:
        line.add(hops=3 if by == "question" else 0)
        request_id = put(approvals) if by == "answer" else put_overdue(approvals, approvals._approvals)
    with logs.invocation("request") as line:
        line.add(hops=3)
        if by == "answer":
            answer(approvals, request_id, "approve", PERSON)
    approvals.expire_all()
    # When
    tell(request_id)
    # Then
    (message,) = waiting()
    assert json.loads(message["body"])["hops"] == 3


@pytest.mark.parametrize(
    ("header", "number"), [(None, 0), ("", 0), ("2", 2), ("-1", 0), ("²", 0), ("1e3", 0), ("9" * 30, 99)]
)
def test_a_header_of_hops_is_a_small_number(header: str | None, number: int) -> None:
    assert hops.read(header) == number
