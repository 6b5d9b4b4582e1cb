"""A queue on moto; its poller and its claims use the test's clock."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.claims import Claims
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores import clients
from tests.support.queue import Clock, RecordingHandler, SqsPoller


@pytest.fixture
def poller(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqsPoller]:
    clock = Clock()
    made = SqsPoller(clients.aws("sqs"), clock)
    claims = Claims(clients.table("coordination"), CoordinationSettings(), now=clock)
    monkeypatch.setattr(queueing_wiring, "sender", lambda: made.sender)
    monkeypatch.setattr(coordination_wiring, "claims", lambda: claims)
    yield made
    clients.aws("sqs").meta.events.unregister("provide-client-params.sqs.ChangeMessageVisibility", unique_id="poller")


@pytest.fixture
def handler() -> RecordingHandler:
    return RecordingHandler()
