"""Declares the webhooks slice."""

from collections.abc import Mapping

from chalicelib.core.records.events import Subscription
from chalicelib.core.records.models import Kind
from chalicelib.core.slice import Indexes, Slice, Upgrade
from chalicelib.webhooks import worker
from chalicelib.webhooks.history import routes
from chalicelib.webhooks.models import KIND_NAME, SHAPE, moves
from chalicelib.webhooks.queues import EVENT, URGENT, WEBHOOK
from chalicelib.webhooks.settings import WebhookSettings


def _indexes() -> Indexes:
    from chalicelib.core.queueing import slots
    from chalicelib.core.records.view import collection_of
    from chalicelib.webhooks import deliveries, health, jobs, statistics, store

    return {
        collection_of(KIND_NAME): store.INDEXES,
        "deliveries": deliveries.INDEXES,
        "webhook_jobs": jobs.INDEXES,
        "webhook_heads": health.INDEXES,
        "webhook_lanes": slots.INDEXES,
        "webhook_statistics": statistics.INDEXES,
    }


def _upgrades() -> Mapping[str, Upgrade]:
    from chalicelib.core.records import reshape
    from chalicelib.core.records.view import collection_of

    return {collection_of(KIND_NAME): lambda copies: reshape.upgrade(copies, KIND_NAME, SHAPE)}


SLICE = Slice(
    name="webhooks",
    routes=routes,
    queues=(EVENT, WEBHOOK, URGENT),
    loads={WEBHOOK.name: worker.load},
    kinds=(Kind(KIND_NAME, stored=SHAPE.stored, text=SHAPE.text, moves=moves),),
    # Every kind: a slice says of its own kind which versions are public events.
    subscriptions=(Subscription(EVENT),),
    settings=(WebhookSettings,),
    indexes=_indexes,
    upgrades=_upgrades,
    sweep=worker.sweep,
    next_due=worker.next_due,
)
