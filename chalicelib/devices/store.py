"""Stores devices in one MongoDB collection, keyed by user and device. A unique index admits each token once.

A device belongs to the account that registered the device, so a later user of the same name gets no earlier devices.

A device not registered again for as long as FCM keeps a token has expired. Every query excludes expired devices by the
server's clock, so no reader depends on the TTL monitor.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import DuplicateKeyError

from chalicelib.core.runtime import accounts
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.devices.errors import TokenContested
from chalicelib.devices.models import Device, NewDevice, Target
from chalicelib.devices.settings import DeviceSettings

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("username", ASCENDING), ("deviceId", ASCENDING)]),
    IndexModel([("account", ASCENDING)]),
    # A token belongs to one person, so no push reaches two people.
    IndexModel([("fcmToken", ASCENDING)], name="token-once", unique=True),
]

_KEPT = {"$gt": ["$purgeAt", "$$NOW"]}
_DAY_MS = 24 * 3_600_000
#: A try fails only if another device registered the token in between.
_TRIES = 8
#: Remembered pushes per device. A few are enough, as repeats come within minutes.
_REMEMBERED_PUSHES = 20


class DeviceStore:
    """Devices by user."""

    def __init__(self, collection: Collection[dict[str, Any]], settings: DeviceSettings) -> None:
        self._devices, self._settings = collection, settings

    def put(self, owner: Account, device_id: str, new: NewDevice) -> Device:
        """Register or renew a device. Safe to repeat. Any other device with the token loses the token.

        Not one atomic write: between two writes no device has the token, but never do two devices have the token. Of
        devices that register a token at the same time, the last keeps the token.

        Raises:
            TokenContested: other devices registered the token in between too often.
        """
        for tried in range(_TRIES):
            if tried:
                # A try to register always follows, so no call only takes the token from another device.
                self._release(new.fcm_token, but=_key(owner.username, device_id))
            try:
                return self._upsert(owner, device_id, new)
            except DuplicateKeyError:
                continue
        raise TokenContested

    def page(self, owner: Account, limit: int, after: str | None) -> list[Device]:
        """Return up to *limit* devices of *owner* after the id *after*, ordered by id."""
        query = {**_owned(owner), "deviceId": {"$gt": after or ""}, "$expr": _KEPT}
        with reaching_mongodb():
            return [_device(found) for found in self._devices.find(query).sort("deviceId", ASCENDING).limit(limit)]

    def remove(self, owner: Account, device_id: str) -> bool:
        """Unregister a device. Return whether the device was registered."""
        with reaching_mongodb():
            query = {"_id": _key(owner.username, device_id), **_owned(owner), "$expr": _KEPT}
            return self._devices.delete_one(query).deleted_count == 1

    def targets(self, owner: Account, collapse_key: str) -> list[Target]:
        """Return the devices of *owner* not yet notified under *collapse_key*, last registered first.

        A bounded number (``pushed_at_most``), as each device costs a call.
        """
        query = {**_owned(owner), "told": {"$ne": collapse_key}, "$expr": _KEPT}
        with reaching_mongodb():
            found = self._devices.find(query).sort("updatedAt", DESCENDING).limit(self._settings.pushed_at_most)
            return [Target(device["deviceId"], device["fcmToken"]) for device in found]

    def showing(self, owner: Account, collapse_key: str, mark: str) -> list[Target]:
        """Return the devices of *owner* that were notified under *collapse_key*, and not yet under *mark*."""
        query = {**_owned(owner), "told": {"$eq": collapse_key, "$ne": mark}, "$expr": _KEPT}
        with reaching_mongodb():
            return [Target(device["deviceId"], device["fcmToken"]) for device in self._devices.find(query)]

    def notified(self, account_ids: Sequence[str], collapse_key: str) -> bool:
        """Return whether a device of one of the accounts was notified under *collapse_key*, in one read."""
        query = {"account": {"$in": list(account_ids)}, "told": collapse_key}
        with reaching_mongodb():
            return self._devices.find_one(query, {"_id": 1}) is not None

    def mark_notified(self, username: str, targets: Sequence[Target], collapse_key: str) -> None:
        """Remember that *targets* got a push, so a repeat for other devices skips *targets*. Safe to repeat."""
        query = {
            "_id": {"$in": [_key(username, target.device_id) for target in targets]},
            "told": {"$ne": collapse_key},
        }
        with reaching_mongodb():
            self._devices.update_many(
                query, {"$push": {"told": {"$each": [collapse_key], "$slice": -_REMEMBERED_PUSHES}}}
            )

    def drop(self, username: str, target: Target) -> None:
        """Unregister *target*, unless the device has another token by now. Atomic."""
        with reaching_mongodb():
            self._devices.delete_one({"_id": _key(username, target.device_id), "fcmToken": target.fcm_token})

    def forget(self, username: str) -> None:
        """Unregister every device of *username*."""
        with reaching_mongodb():
            self._devices.delete_many({"username": username})

    def _upsert(self, owner: Account, device_id: str, new: NewDevice) -> Device:
        token = {"$literal": new.fcm_token}
        kept_ms = self._settings.kept_days * _DAY_MS
        fields = {
            "username": {"$literal": owner.username},
            "account": {"$literal": owner.account_id},
            "deviceId": {"$literal": device_id},
            "platform": new.platform.value,
            "fcmToken": token,
            # Another token means another installation, not yet notified of anything.
            "told": {"$cond": [{"$eq": ["$fcmToken", token]}, "$told", []]},
            "createdAt": {"$cond": [_KEPT, "$createdAt", "$$NOW"]},
            "updatedAt": "$$NOW",
            "purgeAt": {"$add": ["$$NOW", kept_ms]},
        }
        with reaching_mongodb():
            found: Any = self._devices.find_one_and_update(
                {"_id": _key(owner.username, device_id)},
                [{"$set": fields}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return _device(found)

    def _release(self, fcm_token: str, but: str) -> None:
        with reaching_mongodb():
            self._devices.delete_one({"fcmToken": fcm_token, "_id": {"$ne": but}})


def _key(username: str, device_id: str) -> str:
    # Usernames contain no slash, so keys are unambiguous.
    return f"{username}/{device_id}"


def _owned(owner: Account) -> dict[str, Any]:
    """Return the query for devices of *owner*. Devices of earlier versions have no account: they belong to the name."""
    unstored = [None] if owner == accounts.named(owner.username) else []
    return {"username": owner.username, "account": {"$in": [owner.account_id, *unstored]}}


def _device(found: dict[str, Any]) -> Device:
    shown = {name: found[name] for name in ("deviceId", "platform", "createdAt", "updatedAt")}
    return Device.model_validate({**shown, "expiresAt": found["purgeAt"]}, strict=False)
