"""The story of a request: who settled the request, and through which instances."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.approvals.models import Approval
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import ids
from tests.unit.approvals.build import an_approval, answer, answer_oldest, cancel, listed, put, put_as, put_overdue

Told = tuple[str | None, str | None, str | None, str | None]
On = Callable[[str], ApprovalStore]


@pytest.fixture
def on(approvals: ApprovalStore, mongodb: Any) -> On:
    """Return the store of the instance of a name; all instances share the database."""
    return lambda instance: ApprovalStore(mongodb.approvals, ApprovalSettings(), instance)


def told(approval: Approval) -> Told:
    return approval.asked_by, approval.heard_by, approval.resolved_by, approval.resolved_through


def test_question_names_the_instance_that_took_it(on: On) -> None:
    waiting = an_approval(20_000).model_copy(update={"wait": True})
    held = put_as(on("first"), ids.new_id(), waiting).approval
    assert told(held) == ("first", "first", None, None)
    assert told(put_as(on("first"), ids.new_id(), an_approval()).approval) == ("first", None, None, None)


def test_repeat_on_another_instance_keeps_the_first(on: On) -> None:
    request_id = ids.new_id()
    put_as(on("first"), request_id, an_approval())
    assert put_as(on("second"), request_id, an_approval()).approval.asked_by == "first"


@pytest.mark.parametrize("way", ["resolve", "act"])
def test_answer_names_person_and_instance(on: On, way: str) -> None:
    request_id = put(on("first"))
    if way == "resolve":
        settled = answer(on("second"), request_id, "reject", "ann")
    else:
        settled = answer_oldest(on("second"), "ann", "reject", by="boss")
    assert told(settled) == ("first", None, "ann" if way == "resolve" else "boss", "second")


def test_first_of_two_approvals_settles_nothing(on: On) -> None:
    request_id = put(on("first"), approvers=["ben"], required=2)
    assert told(answer(on("second"), request_id, "approve", "ben"))[2:] == (None, None)
    assert told(answer(on("third"), request_id, "approve", "ann"))[2:] == ("ann", "third")


def test_cancellation_names_person_and_instance(on: On) -> None:
    assert told(cancel(on("second"), put(on("first")), "svc-loans"))[2:] == ("svc-loans", "second")


def test_timeout_names_nobody(on: On, mongodb: Any) -> None:
    store = on("first")
    assert told(store.get(put_overdue(store, mongodb.approvals)).approval)[2:] == (None, None)


def test_request_of_an_earlier_version_has_no_story(on: On, mongodb: Any) -> None:
    store = on("first")
    request_id = put(store)
    fields = ("resolvedBy", "askedBy", "resolvedThrough", "heardBy")
    mongodb.approvals.update_one({"_id": request_id}, {"$unset": dict.fromkeys(fields)})
    assert told(store.get(request_id).approval) == (None, None, None, None)
    assert [told(one) for one in listed(store, None, None, 1, None)] == [(None, None, None, None)]
