"""Devices on the deployed stack: registered, listed, handed over, removed."""

from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import pytest
import requests
from pymongo.database import Database

from tests.support.client import Client, Person, at_once, json_of, problem_of
from tests.support.stack import PASSWORD, NewPerson

pytestmark = pytest.mark.stack

DEVICES = "/api/devices"
Mongo = Database[dict[str, Any]]


@pytest.fixture
def token() -> str:
    """A token of the form that FCM gives to an app."""
    return f"c{token_hex(10)}:APA91b{token_hex(60)}"


def put(who: Person, device_id: str, token: str, platform: str = "android") -> requests.Response:
    new = {"platform": platform, "fcmToken": token}
    return who.client.call("PUT", f"{DEVICES}/{quote(device_id, safe='')}", new)


def listed(caller: Client) -> list[str]:
    return [device["deviceId"] for device in json_of(caller.get(DEVICES))["items"]]


def test_a_device_is_registered_renewed_and_removed(person: NewPerson, token: str) -> None:
    # Given
    who = person()
    first = json_of(put(who, "phone", token))
    # When
    again = json_of(put(who, "phone", token, "ios"))
    # Then
    assert (again["platform"], again["createdAt"]) == ("ios", first["createdAt"])
    assert again["updatedAt"] > first["updatedAt"]
    assert again["expiresAt"] > first["expiresAt"]
    answer = who.client.get(DEVICES)
    assert json_of(answer) == {"items": [again], "nextCursor": None}
    assert token not in answer.text
    assert who.client.delete(f"{DEVICES}/phone").status_code == 204
    problem_of(who.client.delete(f"{DEVICES}/phone"), 404)
    assert listed(who.client) == []


@pytest.mark.parametrize("role", ["user", "officer", "service", "admin"])
def test_a_user_of_any_role_may_register_a_device(person: NewPerson, token: str, role: str) -> None:
    who = person(role)
    json_of(put(who, "phone", token))
    assert listed(who.client) == ["phone"]


def test_a_device_id_with_a_colon_works_with_and_without_escape(person: NewPerson, token: str) -> None:
    who = person()
    json_of(put(who, "urn:uuid:1", token))
    assert listed(who.client) == ["urn:uuid:1"]
    assert who.client.delete(f"{DEVICES}/urn:uuid:1").status_code == 204


def test_a_device_id_that_is_too_long_is_404(person: NewPerson, token: str) -> None:
    problem_of(put(person(), "x" * 129, token), 404)


def test_a_token_moves_to_the_user_who_registered_last(person: NewPerson, token: str) -> None:
    ann, bob = person(), person()
    json_of(put(ann, "phone", token))
    json_of(put(bob, "phone", token))
    assert (listed(ann.client), listed(bob.client)) == ([], ["phone"])


def test_racing_registrations_of_a_token_leave_one_holder(person: NewPerson, token: str, database: Mongo) -> None:
    people = [person() for _ in range(6)]
    answers = at_once([partial(put, who, "phone", token) for who in people])
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert sum(len(listed(who.client)) for who in people) == 1
    assert database.devices.count_documents({"fcmToken": token}) == 1


def test_a_new_user_of_a_deleted_name_has_no_devices(admin: Client, person: NewPerson, token: str) -> None:
    # Given
    who = person()
    json_of(put(who, "phone", token))
    # When another user gets the name
    assert admin.delete(f"/api/users/{who.username}").status_code == 204
    json_of(admin.post("/api/users", {"username": who.username, "password": PASSWORD, "roles": ["user"]}), 201)
    # Then
    assert listed(Client(admin.url).signed_in(who.username, PASSWORD)) == []


def test_wrong_fields_of_a_device_are_named(person: NewPerson) -> None:
    client = person().client
    problem = problem_of(client.call("PUT", f"{DEVICES}/phone", {"platform": "windows"}), 422)
    assert {error["path"] for error in problem["errors"]} == {"platform", "fcmToken"}
    problem_of(client.call("PUT", f"{DEVICES}/phone", raw=b"{"), 400)
    problem_of(client.post(DEVICES, {}), 405)


def test_devices_need_a_session(admin: Client) -> None:
    problem_of(Client(admin.url).get(DEVICES), 401)


def test_the_collection_has_its_indexes(database: Mongo) -> None:
    indexes = database.devices.index_information()
    assert indexes["purgeAt_1"]["expireAfterSeconds"] == 0
    assert indexes["token-once"]["unique"]
