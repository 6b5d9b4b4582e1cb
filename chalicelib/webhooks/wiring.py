"""Makes the stores and workers of webhooks, each once per process."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.records import wiring as records
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.webhooks.settings import WebhookSettings

if TYPE_CHECKING:
    from chalicelib.core.queueing.slots import Slots
    from chalicelib.webhooks.accept import Acceptor
    from chalicelib.webhooks.archive import Archive
    from chalicelib.webhooks.deliveries import Deliveries
    from chalicelib.webhooks.health import Health
    from chalicelib.webhooks.jobs import Jobs
    from chalicelib.webhooks.serve import Server
    from chalicelib.webhooks.statement import Statement
    from chalicelib.webhooks.statistics import Counters
    from chalicelib.webhooks.store import WebhookStore


def options() -> WebhookSettings:
    """Return the options of webhooks."""
    return settings.load(WebhookSettings)


@once
def store() -> WebhookStore:
    """Return the webhooks."""
    from chalicelib.webhooks.models import KIND_NAME
    from chalicelib.webhooks.store import WebhookStore

    return WebhookStore(records.store(), records.view().of(KIND_NAME))


@once
def deliveries() -> Deliveries:
    """Return the deliveries of all webhooks."""
    from chalicelib.webhooks.deliveries import Deliveries

    return Deliveries(clients.mongodb(), timedelta(days=options().kept_days))


@once
def archive() -> Archive:
    """Return the deliveries for people."""
    from chalicelib.webhooks.archive import Archive

    return Archive(clients.mongodb())


@once
def statement() -> Statement:
    """Return the statements of all webhooks."""
    from chalicelib.webhooks.statement import Statement

    return Statement(clients.mongodb())


@once
def statistics() -> Counters:
    """Return the statistics of all webhooks."""
    from chalicelib.webhooks.statistics import Counters

    return Counters(clients.mongodb())


@once
def jobs() -> Jobs:
    """Return the replays of many deliveries."""
    from chalicelib.webhooks.jobs import Jobs

    return Jobs(clients.mongodb())


@once
def health() -> Health:
    """Return the health of all webhooks."""
    from chalicelib.webhooks.health import Health

    return Health(clients.mongodb(), timedelta(days=options().failing_days))


@once
def slots() -> Slots:
    """Return the slots and breakers of the lanes of webhooks."""
    from chalicelib.core.queueing.lanes import share
    from chalicelib.core.queueing.slots import Limits, Slots
    from chalicelib.webhooks.queues import WEBHOOK

    most = share(WEBHOOK.concurrency)
    return Slots(clients.mongodb().webhook_lanes, Limits(per_owner=most, per_lane=most))


@once
def server() -> Server:
    """Return what serves lanes."""
    from chalicelib.webhooks.serve import Server

    call_ms = settings.load(settings.EgressSettings).total_timeout_ms
    return Server(store(), deliveries(), health(), statistics(), slots(), coordination.rates(), options(), call_ms)


def acceptor() -> Acceptor:
    """Return a new acceptor, for one batch of events."""
    from chalicelib.webhooks.accept import Acceptor

    return Acceptor(store(), deliveries(), records.history(), records.kinds(), queueing.sender())
