"""Webhooks: attempts, disabling, rotation and expiry come at their moments, over days."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from itertools import pairwise
from time import time
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.egress import SCHEDULE_SECONDS, signatures
from infra.local.lab.lab import Lab
from tests.support.client import Client, json_of
from tests.support.receiver import Received, Receiver
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APPLICATION = {
    "applicantName": "Ann Lee",
    "email": "ann@example.org",
    "amountMinor": 1_000_00,
    "currency": "EUR",
    "termMonths": 12,
}
NewWebhook = Callable[..., dict[str, Any]]
Mongo = Database[dict[str, Any]]

_SOON = timedelta(minutes=1)
#: SQS delays by whole seconds, and a function may have to start first, on a busy machine.
_WITHIN = timedelta(seconds=45)
#: The sweep runs once a minute.
_SWEPT = _SOON + _WITHIN
#: `webhook-timestamp` has whole seconds.
_ROUNDED = timedelta(seconds=1)
#: MongoDB removes expired documents once a minute, of real time.
_REMOVED_SECONDS = 90


@pytest.fixture
def operator(person: NewPerson) -> Client:
    """An administrator with an API key, which no jump ends."""
    return person("service", "admin").client


@pytest.fixture
def webhook(operator: Client, receiver: Receiver) -> Iterator[NewWebhook]:
    """Make webhooks that call a path of the receiver, and delete them after."""
    made: list[str] = []

    def make(path: str = "/hook", **fields: Any) -> dict[str, Any]:
        new = {"url": receiver.url + path, "events": ["application.*"]} | fields
        found: dict[str, Any] = json_of(operator.post("/api/webhooks", new), 201)
        made.append(found["webhookId"])
        return found

    yield make
    for webhook_id in made:
        operator.delete(f"/api/webhooks/{webhook_id}")


def happen(operator: Client, lab: Lab) -> str:
    """Make an application, and return its id once the first attempt of each delivery was made."""
    made = json_of(operator.post("/api/applications", APPLICATION), 201)
    lab.endpoint.rest()
    return str(made["applicationId"])


def sent_at(call: Received) -> datetime:
    """Return when the function sent the call, by the function's clock."""
    return datetime.fromtimestamp(int(call.headers["webhook-timestamp"]), UTC)


def test_a_failing_receiver_is_tried_eight_times_by_the_schedule(
    lab: Lab, receiver: Receiver, operator: Client, webhook: NewWebhook, database: Mongo
) -> None:
    # Given
    receiver.answer = lambda _: (500, {})
    webhook()
    happen(operator, lab)
    # When more than the longest schedule passes
    lab.advance(hours=34)
    # Then each pause is the schedule's, lengthened by up to a fifth
    assert len(receiver.received) == len(SCHEDULE_SECONDS) + 1
    gaps = [later - earlier for earlier, later in pairwise(map(sent_at, receiver.received))]
    for pause, gap in zip(SCHEDULE_SECONDS, gaps, strict=True):
        assert timedelta(seconds=pause) - _ROUNDED <= gap <= timedelta(seconds=1.2 * pause) + _WITHIN
    # And each attempt carries the same id and the same bytes
    ((id_, _),) = {(call.headers["webhook-id"], call.body) for call in receiver.received}
    found: Any = database.deliveries.find_one({"_id": id_})
    assert (found["status"], found["reason"]) == ("dead", "exhausted")


def test_a_receiver_lengthens_the_first_pause_to_an_hour(
    lab: Lab, receiver: Receiver, operator: Client, webhook: NewWebhook
) -> None:
    """By seconds, or by a date of the receiver's own clock, which is days behind the stack's."""
    # Given
    lab.advance(days=1)
    hour = timedelta(hours=1)
    asked = {
        "/seconds": lambda: str(round(hour.total_seconds())),
        "/date": lambda: formatdate(time() + hour.total_seconds(), usegmt=True),
    }

    def answer(call: Received) -> tuple[int, dict[str, str]]:
        if len([each for each in receiver.received if each.path == call.path]) > 1:
            return 204, {}
        return 503, {"Retry-After": asked[call.path]()}

    receiver.answer = answer
    for path in asked:
        webhook(path)
    happen(operator, lab)
    began = max(map(sent_at, receiver.received))
    # When, Then
    lab.advance_to(began + hour - _SOON)
    assert sorted(call.path for call in receiver.received) == sorted(asked)
    lab.advance_to(began + hour + _WITHIN)
    assert sorted(call.path for call in receiver.received) == sorted([*asked, *asked])


def test_five_days_of_failures_disable_a_webhook_in_time(
    lab: Lab, receiver: Receiver, operator: Client, webhook: NewWebhook, database: Mongo
) -> None:
    # Given a burst of deliveries for a receiver that fails, and another webhook
    receiver.answer = lambda call: (503 if call.path == "/failing" else 204, {})
    failing, _ = webhook("/failing"), webhook("/other", events=["webhook.disabled"])
    path = f"/api/webhooks/{failing['webhookId']}"
    made = [json_of(operator.post("/api/applications", APPLICATION), 201)["applicationId"] for _ in range(17)]
    operator.post("/api/applications/batch-update", {"applicationIds": made, "status": "submitted"})
    lab.endpoint.rest()
    deliveries = {"webhook": failing["webhookId"]}
    assert database.deliveries.count_documents(deliveries | {"due": {"$exists": True}}) == 51
    began = sent_at(receiver.received[0])
    # When the schedule of the first delivery passes, with a probe at each of its moments
    for hours in (0.2, 0.5, 1, 3, 7, 12.5, 12.5):
        lab.jump_to(lab.now() + timedelta(hours=hours))
        lab.advance(seconds=2)
    assert database.deliveries.count_documents(deliveries | {"reason": "exhausted"}) > 0
    # Then the webhook is enabled until its fifth day ends
    lab.jump_to(began + timedelta(days=5) - 3 * _SOON)
    lab.advance_to(began + timedelta(days=5) - 2 * _SOON)
    assert json_of(operator.get(path))["enabled"] is True
    # And is disabled by itself then, although deliveries were pending
    assert database.deliveries.count_documents(deliveries | {"due": {"$exists": True}}) > 40
    lab.advance(minutes=10)
    found = json_of(operator.get(path))
    assert (found["enabled"], found["disabledReason"]) == (False, "Nothing but failures for 5 days.")
    assert database.deliveries.count_documents(deliveries | {"due": {"$exists": True}}) == 0
    # And the other webhook is told, in time
    (call,) = [call for call in receiver.received if call.path == "/other"]
    assert (call.event["type"], call.event["data"]["webhookId"]) == ("webhook.disabled", failing["webhookId"])
    assert timedelta(0) <= sent_at(call) - began - timedelta(days=5) <= _SWEPT


def test_a_rotated_secret_signs_for_a_day_and_not_after(
    lab: Lab, receiver: Receiver, operator: Client, webhook: NewWebhook
) -> None:
    # Given
    made = webhook()
    old, new = made["secret"], json_of(operator.post(f"/api/webhooks/{made['webhookId']}/rotate-secret"))["secret"]
    rotated = lab.now()
    # When
    lab.advance_to(rotated + timedelta(days=1) - _SOON)
    happen(operator, lab)
    lab.advance_to(rotated + timedelta(days=1) + _SOON)
    happen(operator, lab)
    # Then
    before, after = receiver.received
    for secret, call in ((old, before), (new, before), (new, after)):
        signatures.verify([secret], call.body, call.headers, sent_at(call))
    with pytest.raises(signatures.InvalidSignature):
        signatures.verify([old], after.body, after.headers, sent_at(after))


def test_a_delivery_expires_after_thirty_days_and_is_removed_a_day_later(
    lab: Lab, receiver: Receiver, operator: Client, webhook: NewWebhook, database: Mongo
) -> None:
    # Given a delivery of a paused webhook
    made = webhook()
    json_of(operator.post(f"/api/webhooks/{made['webhookId']}/pause"))
    happen(operator, lab)

    def delivery() -> Any:
        return database.deliveries.find_one({"webhook": made["webhookId"]})

    created = delivery()["createdAt"]
    # When
    lab.advance_to(created + timedelta(days=30) - 2 * _SOON)
    assert delivery()["status"] == "due"
    lab.advance(hours=2)
    # Then the delivery has ended at its moment, unsent
    found = delivery()
    assert (found["status"], found["reason"], receiver.received) == ("dead", "expired", [])
    assert timedelta(0) <= found["finishedAt"] - created - timedelta(days=30) <= _SWEPT
    # And is stored for a day more
    lab.advance_to(created + timedelta(days=31) - _SOON)
    assert delivery()
    lab.advance_to(created + timedelta(days=31) + _SOON)
    eventually(lambda: delivery() is None, deadline_seconds=_REMOVED_SECONDS)
