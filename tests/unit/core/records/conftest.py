"""Notes: a kind of record that only these tests know, its view on a real mongod, its truth and its history in moto."""

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
from tests.unit.core.records.build import FOLLOWERS, NOTE, letters

#: Few enough to be seen forgotten.
KEPT = 5


@pytest.fixture
def copies(mongodb: Database[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """The copies of notes: none yet."""
    collection = mongodb[collection_of(NOTE.name)]
    collection.delete_many({})
    return collection


@pytest.fixture
def view(copies: Collection[dict[str, Any]]) -> View:
    return View(clients.mongodb, {NOTE.name: NOTE}, settings.load(settings.RecordSettings))


@pytest.fixture
def shown() -> list[Record]:
    """What was to be shown early, in its order."""
    return []


@pytest.fixture
def records(bound: Deployment, shown: list[Record]) -> Records:
    """The truth; nothing follows it by itself."""
    return Records(clients.table("records"), shown.extend)


@pytest.fixture
def history(dynamodb: Any) -> History:
    return History(clients.table("history"), KEPT)


@pytest.fixture
def followers(mail: Sender) -> Subscription:
    """Who is told of every version of a note, and their queue, empty."""
    clients.aws("sqs").create_queue(QueueName=f"holdfast-{STAGE}-{FOLLOWERS.name}")
    return Subscription(FOLLOWERS, frozenset({NOTE.name}))


@pytest.fixture
def projector(view: View, history: History, followers: Subscription, mail: Sender) -> Projector:
    return Projector(view, history, [followers], mail)


@pytest.fixture
def wired(
    monkeypatch: pytest.MonkeyPatch, view: View, history: History, records: Records, projector: Projector
) -> Projector:
    """Have the functions of this process work on notes alone."""
    monkeypatch.setattr(records_wiring, "kinds", lambda: {NOTE.name: NOTE})
    monkeypatch.setattr(records_wiring, "view", lambda: view)
    monkeypatch.setattr(records_wiring, "store", lambda: records)
    monkeypatch.setattr(records_wiring, "history", lambda: history)
    monkeypatch.setattr(records_wiring, "projector", lambda: projector)
    monkeypatch.setattr(records_wiring, "subscriptions", lambda: projector.subscriptions)
    return projector


def told() -> list[Event]:
    """Take every event that followers were told."""
    return [Event.model_validate_json(body) for body in letters(FOLLOWERS)]
