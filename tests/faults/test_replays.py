"""Replays of many deliveries while the function at work is killed: the job is finished, and sends each once."""

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
import requests
from pymongo.database import Database

from chalicelib.webhooks.deliveries import Deliveries
from chalicelib.webhooks.happenings import Happening
from chalicelib.webhooks.models import Reason
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client, json_of
from tests.support.kill import kill_at_change
from tests.support.receiver import receiving
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

Mongo = Database[dict[str, Any]]

#: A step of a job has 500.
_DELIVERIES = 520
#: The sweep goes on with the job of a killed function within a minute; functions of a busy machine start slowly.
_PATIENCE_SECONDS = 400
_MARKED = {"operationType": "update", "updateDescription.updatedFields.job": {"$exists": True}}


def test_a_job_whose_function_is_killed_sends_each_delivery_once(
    stack: Stack, admin: Client, database: Mongo, figure: Figure
) -> None:
    kills, began = times(10), monotonic()
    for _ in range(kills):
        _replay_and_kill(stack, admin, database)
    figure("functions killed in a job of replays", f"{kills}; each of {kills * _DELIVERIES} deliveries sent once")
    figure("a job of a killed function", f"finished after {(monotonic() - began) / kills:.0f} s")


def _replay_and_kill(stack: Stack, admin: Client, database: Mongo) -> None:
    with receiving() as receiver:
        # Given dead deliveries of a webhook
        new = {"url": receiver.url, "events": ["application.disbursed"], "rateLimitPerMinute": 60_000}
        webhook_id = json_of(admin.post("/api/webhooks", new), 201)["webhookId"]
        _make(database, webhook_id)
        body = {"filter": {"webhookId": webhook_id}, "expectedCount": _DELIVERIES}
        key = {"Idempotency-Key": secrets.token_hex(8)}

        def call() -> requests.Response:
            return admin.post("/api/deliveries/replay", body, headers=key)

        # When the function dies as soon as the first deliveries are due, and the call is made again
        with ThreadPoolExecutor(1) as pool:
            assert kill_at_change(stack, "api", database.deliveries, _MARKED, lambda: pool.submit(call))
        assert eventually(lambda: call().ok, _PATIENCE_SECONDS, every_seconds=2)
        # Then each is sent, and once
        eventually(lambda: len(receiver.received) >= _DELIVERIES, _PATIENCE_SECONDS)
        eventually(lambda: not database.webhook_jobs.count_documents({"open": True}), _PATIENCE_SECONDS)
        again = json_of(call())
        assert (again["count"], again["skipped"]) == (_DELIVERIES, 0)
        wanted = {"webhook": webhook_id, "status": "delivered"}
        eventually(lambda: database.deliveries.count_documents(wanted) == _DELIVERIES, _PATIENCE_SECONDS)
        sent = Counter(got.headers["webhook-id"] for got in receiver.received)
        assert (len(sent), set(sent.values())) == (_DELIVERIES, {1})
        admin.delete(f"/api/webhooks/{webhook_id}")


def _make(database: Mongo, webhook_id: str) -> None:
    deliveries = Deliveries(database, timedelta(days=30))
    made = [
        Happening(f"note/n@{each}", "note.updated", "2026-01-01T00:00:00.000Z", "{}") for each in range(_DELIVERIES)
    ]
    for first in range(0, _DELIVERIES, 60):
        deliveries.record(webhook_id, made[first : first + 60], Reason.DISABLED)
