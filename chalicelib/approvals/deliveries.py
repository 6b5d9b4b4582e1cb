"""Where a question has arrived: by device, when it was pushed, received and opened (no I/O)."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from chalicelib.core.models import DeviceId, Instant, Model
from chalicelib.core.runtime.accounts import Account

#: The most devices that a request names. A person's app may report any device id.
_MOST = 100


class Step(StrEnum):
    """A step on the way of a question to a person."""

    #: Firebase, or an open connection, has taken the question.
    PUSHED = "pushed"
    RECEIVED = "received"
    OPENED = "opened"


class Report(Model):
    """What an app reports: the device has received the question, or the person has opened it."""

    device_id: DeviceId
    what: Literal["received", "opened"]


class Delivery(Model):
    """When a question reached a device of a person; null where a step is not known to be done."""

    username: str
    device_id: str | None = Field(description="null for the person's open WebSocket connections")
    pushed: Instant | None
    received: Instant | None
    opened: Instant | None


def noted(person: Account, device_ids: Iterable[str | None], step: Step) -> list[dict[str, Any]]:
    """Return the update that notes *step* of each device. The first time of a step stays."""
    return [{"$set": {"deliveries": _noted(person, device_id, step)}} for device_id in device_ids]


def shown(stored: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return stored deliveries with the fields of `Delivery`, in their order."""
    return [{name: each.get(name) for name in ("username", "deviceId", *Step)} for each in stored or ()]


def _noted(person: Account, device_id: str | None, step: Step) -> dict[str, Any]:
    known: dict[str, Any] = {"$ifNull": ["$deliveries", []]}
    account, device = {"$literal": person.account_id}, {"$literal": device_id}
    same = {"$and": [{"$eq": ["$$this.account", account]}, {"$eq": ["$$this.deviceId", device]}]}
    first = {step.value: {"$ifNull": [f"$$this.{step.value}", "$$NOW"]}}
    changed = {"$map": {"input": known, "in": {"$cond": [same, {"$mergeObjects": ["$$this", first]}, "$$this"]}}}
    new = {"account": account, "username": {"$literal": person.username}, "deviceId": device, step.value: "$$NOW"}
    added = {"$cond": [{"$lt": [{"$size": known}, _MOST]}, {"$concatArrays": [known, [new]]}, known]}
    return {"$cond": [{"$anyElementTrue": [{"$map": {"input": known, "in": same}}]}, changed, added]}
