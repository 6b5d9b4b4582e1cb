"""Notes: a kind of record for these tests, with the view on a real mongod, records and history in moto."""

from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.records.events import Event, Subscription
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Record
from chalicelib.core.records.project import Projector
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import View, collection_of
from chalicelib.core.runtime import settings
from chalicelib.core.stores import clients
from chalicelib.core.stores.binding import Deployment
from tests.unit.conftest import STAGE
from tests.unit.core.records.build import FOLLOWERS, NOTE, take_messages

#: Few enough that tests see versions dropped.
KEPT = 5


@pytest.fixture
def copies(mongodb: Database[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """The empty collection of copies of notes."""
    collection = mongodb[collection_of(NOTE.name)]
    collection.delete_many({})
    return collection


@pytest.fixture
def view(copies: Collection[dict[str, Any]]) -> View:
    return View(clients.mongodb, {NOTE.name: NOTE}, settings.load(settings.RecordSettings))


@pytest.fixture
def shown() -> list[Record]:
    """The states given to eager projection, in order."""
    return []


@pytest.fixture
def records(bound: Deployment, shown: list[Record]) -> Records:
    """The system of record; no projection follows by itself."""
    return Records(clients.table("records"), shown.extend)


@pytest.fixture
def history(dynamodb: Any) -> History:
    return History(clients.sorted_table("history"), KEPT)


@pytest.fixture
def followers(mail: Sender) -> Subscription:
    """A subscription to notes, with an empty queue."""
    clients.aws("sqs").create_queue(QueueName=f"holdfast-{STAGE}-{FOLLOWERS.name}")
    return Subscription(FOLLOWERS, frozenset({NOTE.name}))


@pytest.fixture
def projector(view: View, history: History, followers: Subscription, mail: Sender) -> Projector:
    return Projector(view, history, [followers], mail)


@pytest.fixture
def wired(
    monkeypatch: pytest.MonkeyPatch, view: View, history: History, records: Records, projector: Projector
) -> Projector:
    """Make the functions of this process work on notes alone."""
    monkeypatch.setattr(records_wiring, "kinds", lambda: {NOTE.name: NOTE})
    monkeypatch.setattr(records_wiring, "view", lambda: view)
    monkeypatch.setattr(records_wiring, "store", lambda: records)
    monkeypatch.setattr(records_wiring, "history", lambda: history)
    monkeypatch.setattr(records_wiring, "projector", lambda: projector)
    monkeypatch.setattr(records_wiring, "subscriptions", lambda: projector.subscriptions)
    return projector


def take_events() -> list[Event]:
    """Take every event out of the queue of followers."""
    return [Event.model_validate_json(body) for body in take_messages(FOLLOWERS)]
