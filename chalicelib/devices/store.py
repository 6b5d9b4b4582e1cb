"""Where devices live: one MongoDB collection, keyed by user and device; a token is in it once.

A device that was not heard of for as long as FCM keeps a token is not there any more: a rule of each query, by the
server's clock, whether or not the TTL monitor has been by.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import DuplicateKeyError

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.devices.errors import TokenContested
from chalicelib.devices.models import Device, NewDevice, Target
from chalicelib.devices.settings import DeviceSettings

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("username", ASCENDING), ("deviceId", ASCENDING)]),
    # Two people never both get what is pushed to one token.
    IndexModel([("fcmToken", ASCENDING)], name="token-once", unique=True),
]

_KEPT = {"$gt": ["$purgeAt", "$$NOW"]}
_DAY_MS = 24 * 3_600_000
#: Each try that fails means that someone else registered the token in between.
_TRIES = 8
#: How many pushes a device remembers to have got; a repeat comes within minutes.
_TOLD = 20


class DeviceStore:
    """Devices by user."""

    def __init__(self, collection: Collection[dict[str, Any]], settings: DeviceSettings) -> None:
        self._devices, self._settings = collection, settings

    def put(self, username: str, device_id: str, new: NewDevice) -> Device:
        """Register a device, or renew it. Safe to repeat. Whoever else has its token has it no longer.

        Atomic as far as it matters: the token is with one of them, for a moment with none, and never with both. Of
        those who register it at the same time, the last has it.

        Raises:
            TokenContested: others came in between too often.
        """
        for tried in range(_TRIES):
            if tried:
                # Never the last thing we do: whoever takes the token away must have tried to have it since.
                self._release(new.fcm_token, but=_key(username, device_id))
            try:
                return self._upsert(username, device_id, new)
            except DuplicateKeyError:
                continue
        raise TokenContested

    def page(self, username: str, limit: int, after: str | None) -> list[Device]:
        """Return up to *limit* devices of *username* in the order of their ids, beyond *after*."""
        query = {"username": username, "deviceId": {"$gt": after or ""}, "$expr": _KEPT}
        with reaching_mongodb():
            return [_device(found) for found in self._devices.find(query).sort("deviceId", ASCENDING).limit(limit)]

    def remove(self, username: str, device_id: str) -> bool:
        """Unregister a device. Returns whether it was registered."""
        with reaching_mongodb():
            query = {"_id": _key(username, device_id), "$expr": _KEPT}
            return self._devices.delete_one(query).deleted_count == 1

    def targets(self, username: str, collapse_key: str) -> list[Target]:
        """Return the devices of *username* that have not been told of *collapse_key*, those heard of last first.

        A bounded number: nobody carries more, and each costs a call.
        """
        query = {"username": username, "told": {"$ne": collapse_key}, "$expr": _KEPT}
        with reaching_mongodb():
            found = self._devices.find(query).sort("updatedAt", DESCENDING).limit(self._settings.pushed_at_most)
            return [Target(device["deviceId"], device["fcmToken"]) for device in found]

    def told(self, username: str, targets: Sequence[Target], collapse_key: str) -> None:
        """Remember that *targets* have got a push, which may be repeated for others. Safe to repeat."""
        query = {
            "_id": {"$in": [_key(username, target.device_id) for target in targets]},
            "told": {"$ne": collapse_key},
        }
        with reaching_mongodb():
            self._devices.update_many(query, {"$push": {"told": {"$each": [collapse_key], "$slice": -_TOLD}}})

    def drop(self, username: str, target: Target) -> None:
        """Unregister *target*, unless it has another token by now."""
        with reaching_mongodb():
            self._devices.delete_one({"_id": _key(username, target.device_id), "fcmToken": target.fcm_token})

    def forget(self, username: str) -> None:
        """Unregister every device of *username*."""
        with reaching_mongodb():
            self._devices.delete_many({"username": username})

    def _upsert(self, username: str, device_id: str, new: NewDevice) -> Device:
        token = {"$literal": new.fcm_token}
        kept_ms = self._settings.kept_days * _DAY_MS
        fields = {
            "username": {"$literal": username},
            "deviceId": {"$literal": device_id},
            "platform": new.platform.value,
            "fcmToken": token,
            # Another token is another installation, and that one has been told of nothing.
            "told": {"$cond": [{"$eq": ["$fcmToken", token]}, "$told", []]},
            "createdAt": {"$cond": [_KEPT, "$createdAt", "$$NOW"]},
            "updatedAt": "$$NOW",
            "purgeAt": {"$add": ["$$NOW", kept_ms]},
        }
        with reaching_mongodb():
            found: Any = self._devices.find_one_and_update(
                {"_id": _key(username, device_id)},
                [{"$set": fields}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return _device(found)

    def _release(self, fcm_token: str, but: str) -> None:
        with reaching_mongodb():
            self._devices.delete_one({"fcmToken": fcm_token, "_id": {"$ne": but}})


def _key(username: str, device_id: str) -> str:
    # No name has a slash.
    return f"{username}/{device_id}"


def _device(found: dict[str, Any]) -> Device:
    shown = {name: found[name] for name in ("deviceId", "platform", "createdAt", "updatedAt")}
    return Device.model_validate({**shown, "expiresAt": found["purgeAt"]}, strict=False)
