from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime.accounts import named
from chalicelib.core.web.roles import Role
from chalicelib.devices.store import DeviceStore
from chalicelib.sessions.store import SessionStore
from chalicelib.users import revocation
from chalicelib.users.store import UserStore
from tests.support.gateway import ask
from tests.unit.devices.build import REQUEST_ID, put

Mongo = Database[dict[str, Any]]
NEW = {"platform": "ios", "fcmToken": "token-1"}


@pytest.fixture
def ann(sessions: SessionStore) -> str:
    return sessions.open("ann", [Role.USER], "e").token


@pytest.fixture
def bob(sessions: SessionStore) -> str:
    return sessions.open("bob", [Role.SERVICE], "e").token


def test_a_device_is_registered_listed_and_removed_without_token(ann: str) -> None:
    made = ask("PUT", "/api/devices/phone", NEW, token=ann)
    assert made.status == 200
    assert set(made.json) == {"deviceId", "platform", "createdAt", "updatedAt", "expiresAt"}
    assert (made.json["deviceId"], made.json["platform"]) == ("phone", "ios")
    listed = ask("GET", "/api/devices", token=ann)
    assert (listed.status, listed.json) == (200, {"items": [made.json], "nextCursor": None})
    assert "token-1" not in made.text + listed.text
    assert ask("DELETE", "/api/devices/phone", token=ann).status == 204
    assert ask("DELETE", "/api/devices/phone", token=ann).status == 404
    assert ask("GET", "/api/devices", token=ann).json["items"] == []


def test_devices_of_another_user_are_neither_seen_nor_removed(ann: str, bob: str, sessions: SessionStore) -> None:
    ask("PUT", "/api/devices/phone", NEW, token=ann)
    for other in (bob, sessions.open("admin", [Role.ADMIN], "e").token):
        assert ask("GET", "/api/devices", token=other).json["items"] == []
        assert ask("DELETE", "/api/devices/phone", token=other).status == 404


def test_a_token_moves_to_the_user_who_registered_last(ann: str, bob: str) -> None:
    for token in (ann, bob):
        assert ask("PUT", "/api/devices/phone", NEW, token=token).status == 200
    assert ask("GET", "/api/devices", token=ann).json["items"] == []
    assert len(ask("GET", "/api/devices", token=bob).json["items"]) == 1


def test_pages_follow_each_other(ann: str) -> None:
    for number in range(5):
        ask("PUT", f"/api/devices/d{number}", {**NEW, "fcmToken": f"t{number}"}, token=ann)
    first = ask("GET", "/api/devices", token=ann, query={"limit": "3"}).json
    second = ask("GET", "/api/devices", token=ann, query={"limit": "3", "cursor": first["nextCursor"]}).json
    assert [device["deviceId"] for device in [*first["items"], *second["items"]]] == ["d0", "d1", "d2", "d3", "d4"]
    assert second["nextCursor"] is None


@pytest.mark.parametrize(
    "device_id",
    ["phone", "A", "_", "-x", "9C5A3B70-59E6-4F2A-8A38-1B1F6C6B9F1D", "cZx:APA91b.T_-4", "x" * 128],
)
def test_a_device_id_of_a_platforms_form_is_accepted(ann: str, device_id: str) -> None:
    assert ask("PUT", f"/api/devices/{device_id}", NEW, token=ann).json["deviceId"] == device_id


@pytest.mark.parametrize("device_id", [".", "..", "x" * 129, "a%2Fb", "a%20b", "%C3%A9", "a%0A", "%24where", "a@b"])
def test_a_device_id_of_another_form_is_404(ann: str, device_id: str) -> None:
    assert ask("PUT", f"/api/devices/{device_id}", NEW, token=ann).status == 404
    assert ask("DELETE", f"/api/devices/{device_id}", token=ann).status == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"platform": "ios"}, "fcmToken"),
        ({"fcmToken": "x"}, "platform"),
        ({**NEW, "platform": "windows"}, "platform"),
        ({**NEW, "platform": 1}, "platform"),
        ({**NEW, "fcmToken": ""}, "fcmToken"),
        ({**NEW, "fcmToken": "a b"}, "fcmToken"),
        ({**NEW, "fcmToken": "é"}, "fcmToken"),
        ({**NEW, "fcmToken": "x" * 4097}, "fcmToken"),
        ({**NEW, "fcmToken": {"$ne": ""}}, "fcmToken"),
        ({**NEW, "username": "bob"}, "username"),
    ],
)
def test_a_wrong_field_of_a_device_is_named(ann: str, body: dict[str, Any], path: str) -> None:
    answer = ask("PUT", "/api/devices/phone", body, token=ann)
    assert (answer.status, [error["path"] for error in answer.json["errors"]]) == (422, [path])


def test_devices_need_a_session() -> None:
    assert ask("GET", "/api/devices").status == 401
    assert ask("PUT", "/api/devices/phone", NEW).status == 401
    assert ask("DELETE", "/api/devices/phone").status == 401


def test_a_new_user_of_a_removed_name_has_no_devices(users: UserStore, devices: DeviceStore) -> None:
    # Given
    users.add("ann", "a hash", [Role.USER])
    put(devices, "a")
    put(devices, "b", username="bob")
    # When
    revocation.revoke(users.change("ann", password_hash="new", roles=None))
    assert len(devices.targets(named("ann"), REQUEST_ID)) == 1
    revocation.revoke(users.remove("ann"), gone=True)
    # Then
    users.add("ann", "another", [Role.USER])
    assert devices.targets(named("ann"), REQUEST_ID) == []
    assert len(devices.targets(named("bob"), REQUEST_ID)) == 1
