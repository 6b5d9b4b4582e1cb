from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.errors import ServiceError, Unavailable
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account, named
from chalicelib.core.stores import clients
from chalicelib.devices import store
from chalicelib.devices import wiring as devices_wiring
from chalicelib.devices.errors import TokenContested
from chalicelib.devices.models import Device, Platform, Target
from chalicelib.devices.settings import DeviceSettings
from chalicelib.devices.store import DeviceStore
from infra.local.processes.mongod import Mongod
from tests.support.concurrency import race
from tests.support.mongodb_commands import explained, recording_commands
from tests.support.waiting import eventually
from tests.unit.devices.build import PERSON, REQUEST_ID, a_device, put

Mongo = Database[dict[str, Any]]


def tokens(devices: DeviceStore, username: str = PERSON, collapse_key: str = REQUEST_ID) -> list[str]:
    return [target.fcm_token for target in devices.targets(named(username), collapse_key)]


def expire(mongodb: Mongo, device_id: str) -> None:
    """Move a device's `purgeAt` into the past; the document stays."""
    over = datetime.now(UTC) - timedelta(seconds=1)
    assert mongodb.devices.update_one({"deviceId": device_id}, {"$set": {"purgeAt": over}}).matched_count == 1


def _clock_has_advanced(mongodb: Mongo) -> bool:
    """Tell whether the server's clock, in milliseconds, is past the last write."""
    return mongodb.devices.find_one({"$expr": {"$gte": ["$updatedAt", "$$NOW"]}}) is None


# --- put


def test_a_registered_device_reads_back_unchanged(devices: DeviceStore) -> None:
    device = devices.put(named(PERSON), "phone", a_device(platform=Platform.IOS))
    assert (device.device_id, device.platform) == ("phone", Platform.IOS)
    assert device.created_at == device.updated_at
    assert device.expires_at - device.updated_at == timedelta(days=270)
    assert devices.page(named(PERSON), 9, None) == [device]
    assert devices.targets(named(PERSON), REQUEST_ID) == [Target("phone", "token-1")]


def test_a_repeated_registration_renews_the_device(devices: DeviceStore) -> None:
    first = devices.put(named(PERSON), "phone", a_device())
    second = devices.put(named(PERSON), "phone", a_device("token-2", Platform.WEB))
    assert (second.created_at, second.platform) == (first.created_at, Platform.WEB)
    assert second.updated_at > first.updated_at
    assert second.expires_at - second.updated_at == timedelta(days=270)
    assert tokens(devices) == ["token-2"]
    assert devices.page(named(PERSON), 9, None) == [second]


def test_two_users_may_use_the_same_device_id(devices: DeviceStore) -> None:
    devices.put(named("ann"), "phone", a_device("anns"))
    devices.put(named("bob"), "phone", a_device("bobs"))
    assert (tokens(devices, "ann"), tokens(devices, "bob")) == (["anns"], ["bobs"])


@pytest.mark.parametrize("name", ["$$NOW", "$fcmToken", "a.b", "$literal"])
def test_a_token_like_a_mongodb_expression_is_kept_as_text(devices: DeviceStore, name: str) -> None:
    devices.put(named(PERSON), "phone", a_device(name))
    assert tokens(devices) == [name]


# --- one user per token


def test_a_token_moves_to_the_user_who_registered_last(devices: DeviceStore) -> None:
    # Given
    put(devices, "token-1", "other", username="ann")
    # When
    put(devices, "token-1", username="bob")
    # Then
    assert (tokens(devices, "ann"), tokens(devices, "bob")) == (["other"], ["token-1"])
    # And when ann registers the token again
    put(devices, "token-1", username="ann")
    assert (set(tokens(devices, "ann")), tokens(devices, "bob")) == ({"other", "token-1"}, [])


def test_a_new_device_id_for_a_token_replaces_the_old(devices: DeviceStore) -> None:
    devices.put(named(PERSON), "old", a_device())
    devices.put(named(PERSON), "new", a_device())
    assert [device.device_id for device in devices.page(named(PERSON), 9, None)] == ["new"]


def test_two_devices_may_exchange_their_tokens(devices: DeviceStore) -> None:
    devices.put(named("ann"), "a", a_device("token-1"))
    devices.put(named("bob"), "b", a_device("token-2"))
    devices.put(named("ann"), "a", a_device("token-2"))
    assert (tokens(devices, "ann"), tokens(devices, "bob")) == (["token-2"], [])
    devices.put(named("bob"), "b", a_device("token-1"))
    assert (tokens(devices, "ann"), tokens(devices, "bob")) == (["token-2"], ["token-1"])


def test_an_expired_device_does_not_block_its_token(devices: DeviceStore, mongodb: Mongo) -> None:
    devices.put(named("ann"), "old", a_device())
    expire(mongodb, "old")
    devices.put(named("bob"), "new", a_device())
    assert tokens(devices, "bob") == ["token-1"]


@pytest.mark.parametrize("_round", range(5))
def test_racing_registrations_of_a_token_leave_one_holder(devices: DeviceStore, mongodb: Mongo, _round: int) -> None:
    # Given
    people = [f"person-{number}" for number in range(24)]
    # When
    results = race([partial(devices.put, named(person), "phone", a_device()) for person in people])
    # Then
    assert all(isinstance(result, Device | Unavailable) for result in results)
    holders = [person for person in people if tokens(devices, person)]
    assert len(holders) == 1
    assert mongodb.devices.count_documents({}) == 1
    assert isinstance(results[people.index(holders[0])], Device)


def test_a_token_is_taken_from_the_old_user_before_the_insert(devices: DeviceStore, mongodb: Mongo) -> None:
    with mongodb.devices.watch(full_document="updateLookup") as changes:
        for person in ("ann", "bob", "ann"):
            devices.put(named(person), "phone", a_device())
        devices.put(named("cy"), "end", a_device("end"))
        seen: list[str] = []
        for change in changes:
            seen.append(f"{change['operationType']} {change['documentKey']['_id']}")
            if change["documentKey"]["_id"] == "cy/end":
                break
    assert seen[:-1] == [
        "insert ann/phone",
        "delete ann/phone",
        "insert bob/phone",
        "delete bob/phone",
        "insert ann/phone",
    ]


def test_a_contested_registration_leaves_the_token_in_place(
    devices: DeviceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(devices, "token-1", username="ann")
    monkeypatch.setattr(store, "_TRIES", 1)
    with pytest.raises(TokenContested):
        put(devices, "token-1", username="bob")
    assert (tokens(devices, "ann"), tokens(devices, "bob")) == (["token-1"], [])


def test_racing_registrations_of_a_device_make_one_device(devices: DeviceStore) -> None:
    results = race([partial(devices.put, named(PERSON), "phone", a_device())] * 16)
    assert not [result for result in results if isinstance(result, ServiceError)]
    assert len(devices.page(named(PERSON), 99, None)) == 1


# --- time


def test_an_expired_device_is_not_found_while_still_stored(devices: DeviceStore, mongodb: Mongo) -> None:
    devices.put(named(PERSON), "phone", a_device())
    expire(mongodb, "phone")
    assert tokens(devices) == []
    assert devices.page(named(PERSON), 9, None) == []
    assert not devices.remove(named(PERSON), "phone")
    assert mongodb.devices.count_documents({}) == 1


def test_a_registration_after_expiry_makes_a_new_device(devices: DeviceStore, mongodb: Mongo) -> None:
    first = devices.put(named(PERSON), "phone", a_device())
    expire(mongodb, "phone")
    again = devices.put(named(PERSON), "phone", a_device())
    assert again.created_at == again.updated_at > first.created_at
    assert tokens(devices) == ["token-1"]


def test_the_setting_kept_days_sets_the_expiry(mongodb: Mongo) -> None:
    device = DeviceStore(mongodb.devices, DeviceSettings(kept_days=2)).put(named(PERSON), "phone", a_device())
    assert device.expires_at - device.updated_at == timedelta(days=2)


def test_the_ttl_index_removes_expired_devices(devices: DeviceStore, mongodb: Mongo) -> None:
    # Given
    put(devices, "kept", "gone")
    expire(mongodb, "device-gone")
    # When
    admin = clients.mongodb().client.admin
    admin.command("setParameter", 1, ttlMonitorEnabled=True)
    try:
        eventually(lambda: mongodb.devices.count_documents({"fcmToken": "gone"}) == 0)
    finally:
        admin.command("setParameter", 1, ttlMonitorEnabled=False)
    # Then
    assert tokens(devices) == ["kept"]


# --- remove, drop, forget


def test_a_device_is_removed_once_and_by_its_user_alone(devices: DeviceStore) -> None:
    devices.put(named("ann"), "phone", a_device())
    assert not devices.remove(named("bob"), "phone")
    assert devices.remove(named("ann"), "phone")
    assert not devices.remove(named("ann"), "phone")


def test_drop_keeps_a_device_with_a_replaced_token(devices: DeviceStore) -> None:
    devices.put(named(PERSON), "phone", a_device("old"))
    (target,) = devices.targets(named(PERSON), REQUEST_ID)
    devices.put(named(PERSON), "phone", a_device("new"))
    devices.drop(PERSON, target)
    assert tokens(devices) == ["new"]
    devices.drop(PERSON, Target("phone", "new"))
    assert tokens(devices) == []


def test_forget_removes_the_devices_of_its_user_alone(devices: DeviceStore) -> None:
    put(devices, "a", "b", username="ann")
    put(devices, "c", username="anna")
    devices.forget("ann")
    assert (tokens(devices, "ann"), tokens(devices, "anna")) == ([], ["c"])


# --- notified


def test_a_notified_device_is_skipped_for_that_collapse_key_alone(devices: DeviceStore) -> None:
    # Given
    put(devices, "a", "b")
    first = next(target for target in devices.targets(named(PERSON), "question-1") if target.fcm_token == "a")
    # When
    devices.mark_notified(PERSON, [first], "question-1")
    # Then
    assert tokens(devices, collapse_key="question-1") == ["b"]
    assert set(tokens(devices, collapse_key="question-2")) == {"a", "b"}


def test_a_device_keeps_the_latest_twenty_collapse_keys_once_each(devices: DeviceStore, mongodb: Mongo) -> None:
    put(devices, "a")
    targets = devices.targets(named(PERSON), REQUEST_ID)
    for number in [*range(25), 24]:
        devices.mark_notified(PERSON, targets, f"question-{number}")
    stored = mongodb.devices.find_one()
    assert stored is not None
    assert stored["told"] == [f"question-{number}" for number in range(5, 25)]


def test_a_new_token_of_a_device_is_not_yet_notified(devices: DeviceStore) -> None:
    devices.put(named(PERSON), "phone", a_device("old"))
    devices.mark_notified(PERSON, devices.targets(named(PERSON), REQUEST_ID), REQUEST_ID)
    devices.put(named(PERSON), "phone", a_device("old"))
    assert tokens(devices) == []
    devices.put(named(PERSON), "phone", a_device("new"))
    assert tokens(devices) == ["new"]


# --- lists


def test_pages_list_one_users_devices_in_order_of_ids(devices: DeviceStore) -> None:
    for device_id in ("c", "a", "B", "a.1", "b"):
        devices.put(named(PERSON), device_id, a_device(device_id))
    devices.put(named("bob"), "bobs", a_device("bobs"))
    read: list[str] = []
    while page := devices.page(named(PERSON), 2, read[-1] if read else None):
        read += [device.device_id for device in page]
    assert read == ["B", "a", "a.1", "b", "c"]


def test_targets_are_the_most_recently_renewed_devices(mongodb: Mongo) -> None:
    devices = DeviceStore(mongodb.devices, DeviceSettings(pushed_at_most=3))
    for name in ("a", "b", "c", "d", "b"):
        put(devices, name)
        eventually(partial(_clock_has_advanced, mongodb))
    renewals = [device["updatedAt"] for device in mongodb.devices.find().sort("updatedAt", -1)]
    assert all(earlier < later for later, earlier in pairwise(renewals))
    assert tokens(devices) == ["b", "d", "c"]


def test_queries_for_a_users_devices_use_the_index(mongod: Mongod, mongodb: Mongo) -> None:
    put(devices_wiring.store(), *(f"t{number}" for number in range(6)))
    for person in range(50):
        put(devices_wiring.store(), *(f"{person}-{number}" for number in range(4)), username=f"person-{person}")
    with recording_commands(mongod.uri) as (client, sent):
        store = DeviceStore(client.get_default_database().devices, DeviceSettings())
        store.targets(named(PERSON), REQUEST_ID)
        store.page(named(PERSON), 50, None)
        plans = [explained(client, command) for command in list(sent.commands)]
    assert [plan.indexes for plan in plans] == [{"username_1_deviceId_1"}] * 2
    assert [plan.examined for plan in plans] == [6, 6]


def test_an_unreachable_mongodb_raises_unavailable() -> None:
    with recording_commands("mongodb://127.0.0.1:1/holdfast?serverSelectionTimeoutMS=50") as (client, _):
        store = DeviceStore(client.get_default_database().devices, DeviceSettings())
        with pytest.raises(Unavailable):
            store.targets(named(PERSON), REQUEST_ID)
        with pytest.raises(Unavailable):
            store.put(named(PERSON), "phone", a_device())


def test_devices_belong_to_the_account_and_not_to_a_later_one_of_the_name(devices: DeviceStore, mongodb: Mongo) -> None:
    # Given a device that was registered for the old account while it was deleted, and one of an earlier version
    old, new = Account("ann", ids.new_id()), Account("ann", ids.new_id())
    devices.put(old, "phone", a_device("olds"))
    devices.put(named("ann"), "tablet", a_device("earlier"))
    mongodb.devices.update_one({"deviceId": "tablet"}, {"$unset": {"account": ""}})
    # Then
    assert devices.page(new, 9, None) == []
    assert devices.targets(new, REQUEST_ID) == []
    assert not devices.remove(new, "phone")
    assert [target.fcm_token for target in devices.targets(named("ann"), REQUEST_ID)] == ["earlier"]
    # When the new account registers a device under the same id
    devices.put(new, "phone", a_device("news"))
    assert [target.fcm_token for target in devices.targets(new, REQUEST_ID)] == ["news"]
    assert devices.targets(old, REQUEST_ID) == []
