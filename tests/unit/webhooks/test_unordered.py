"""History that is written out of order: a version is compared with the version before, never with nothing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.core.records import wiring as records
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import clock, ids
from chalicelib.webhooks import worker
from chalicelib.webhooks.queues import News
from tests.support.gateway import Context
from tests.support.queue import record
from tests.support.records import DOC
from tests.unit.webhooks.build import add_webhook


def versions(application_id: str, at: str) -> list[Record]:
    """Return two versions of an application that was submitted before the first."""
    docs = [{**DOC, "status": "submitted", "termMonths": months} for months in (12, 24)]
    return [
        Record(
            kind="application",
            id=application_id,
            version=version,
            doc=doc,
            created_at=at,
            created_by="ann",
            updated_at=at,
            updated_by="ann",
            operation="",
            made="",
        )
        for version, doc in enumerate(docs, start=1)
    ]


def accept(application_id: str, at: str) -> bool:
    """Accept the event of the second version; return whether the message is settled."""
    news = News(
        kind="application", id=application_id, record_version=2, operation="updated", at=at, created_at=at, caused_by=""
    )
    delivered = {**record("x", "m-1", receives=2), "body": news.model_dump_json()}
    context: Any = Context(35_000)
    return bool(worker.accept(SQSEvent({"Records": [delivered]}, context)) == {"batchItemFailures": []})


@pytest.fixture
def application_id(stores: Any) -> str:
    add_webhook()
    return ids.new_id()


def test_an_event_waits_for_the_version_before_its_own(stores: Any, application_id: str) -> None:
    # Given a write of history that has reached the second version alone
    at = clock.stamp()
    first, second = versions(application_id, at)
    records.history().add([second])
    # When, then
    assert not accept(application_id, at)
    assert stores.deliveries.count_documents({}) == 0
    # And when the first version follows, the second has moved nothing
    records.history().add([first])
    assert accept(application_id, at)
    (delivery,) = stores.deliveries.find({})
    assert delivery["type"] == "application.updated"
    assert json.loads(delivery["body"])["data"]["previous"] == {"termMonths": 12}


def test_an_event_goes_on_when_the_version_before_stays_away(stores: Any, application_id: str) -> None:
    at = clock.stamp(datetime.now(UTC) - timedelta(minutes=2))
    records.history().add([versions(application_id, at)[1]])
    assert accept(application_id, at)
    assert "application.updated" in stores.deliveries.distinct("type")
