"""Webhooks and happenings as tests want them."""

from datetime import timedelta
from typing import Any

from chalicelib.core.records.models import Record
from chalicelib.core.runtime import ids
from chalicelib.webhooks import wiring
from chalicelib.webhooks.happenings import Happening
from chalicelib.webhooks.models import NewWebhook

_MOMENTS = ("createdAt", "expiresAt", "due", "finishedAt")


def happening(number: int, **fields: Any) -> Happening:
    """Return the happening *number*."""
    made = Happening(f"note/n-1@{number}", "note.updated", "2026-01-01T00:00:00.000Z", f'{{"number":{number}}}')
    return made._replace(**fields)


def add_webhook(url: str = "http://127.0.0.1:9/", **fields: Any) -> Record:
    """Make a webhook that gets all events, and return it."""
    new = NewWebhook(url=url, events=["*"])
    webhook_id = ids.new_id()
    return wiring.store().add(webhook_id, new.fields | fields, by="ann", operation=webhook_id)


def state(delivery_id: str, mongodb: Any) -> dict[str, Any]:
    """Return the stored delivery."""
    found: dict[str, Any] = mongodb.deliveries.find_one({"_id": delivery_id})
    return found


def let_pass(stores: Any, by: timedelta) -> None:
    """Set every stored moment back by *by*."""
    by_ms = round(by.total_seconds() * 1000)

    def back(name: str) -> dict[str, Any]:
        moved = {"$subtract": [f"${name}", by_ms]}
        return {name: {"$cond": [{"$eq": [{"$type": f"${name}"}, "date"]}, moved, f"${name}"]}}

    for collection, names in ((stores.deliveries, _MOMENTS), (stores.webhook_heads, ("failingSince", "lastDead"))):
        collection.update_many({}, [{"$set": {name: moved for each in names for name, moved in back(each).items()}}])
    opens = {"opensAt": {"$subtract": ["$$this.opensAt", by_ms]}}
    breakers = {"$map": {"input": "$breakers", "in": {"$mergeObjects": ["$$this", opens]}}}
    stores.webhook_lanes.update_many({}, [{"$set": {"breakers": breakers}}])
