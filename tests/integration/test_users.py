"""Users: a name is taken once, and a change is seen at once."""

from collections import Counter
from functools import partial
from secrets import token_hex
from typing import Any

import pytest
import requests

from infra.local.stack import Stack
from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.stack import PASSWORD, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def test_racing_creations_of_a_name_have_one_winner(stack: Stack, admin: Client) -> None:
    # Given fifty creations with different passwords
    username = f"wanted{token_hex(4)}"
    news = [{"username": username, "password": f"password {number:02}", "roles": ["user"]} for number in range(50)]
    # When all are sent at once
    answers = at_once([partial(_created, admin, new) for new in news])
    # Then a single creation gets 201, and its password is valid
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    for new, answer in zip(news, answers, strict=True):
        pair = {"username": username, "password": new["password"]}
        if answer.status_code == 201:
            json_of(Client(stack.url).post("/api/sessions", pair), 201)
        else:
            problem_of(answer, 409)


def test_names_are_trimmed_and_lowercased(admin: Client, person: NewPerson) -> None:
    username = person().username
    shouted = {"username": f" {username.upper()} ", "password": PASSWORD, "roles": ["user"]}
    problem_of(admin.post("/api/users", shouted), 409)
    assert json_of(admin.get(f"/api/users/{username.upper()}"))["username"] == username


def test_an_email_address_is_a_valid_name(admin: Client) -> None:
    name = f"ann+{token_hex(4)}@example.com"
    json_of(admin.post("/api/users", {"username": name, "password": PASSWORD, "roles": ["user"]}), 201)
    assert json_of(admin.get(f"/api/users/{name}"))["username"] == name
    assert json_of(admin.get(f"/api/users/{name.replace('@', '%40').replace('+', '%2B')}"))["username"] == name
    assert admin.delete(f"/api/users/{name}").status_code == 204


def test_a_changed_password_replaces_the_old(admin: Client, person: NewPerson) -> None:
    who = person()
    json_of(admin.call("PATCH", f"/api/users/{who.username}", {"password": "another password"}))
    problem_of(admin.post("/api/sessions", {"username": who.username, "password": who.password}), 401)
    json_of(admin.post("/api/sessions", {"username": who.username, "password": "another password"}), 201)


def test_a_deleted_user_is_404_and_the_name_is_free(admin: Client, person: NewPerson) -> None:
    who = person("service")
    path = f"/api/users/{who.username}"
    assert admin.delete(path).status_code == 204
    problem_of(admin.get(path), 404)
    problem_of(admin.delete(path), 404)
    problem_of(admin.call("PATCH", path, {"roles": ["user"]}), 404)
    problem_of(admin.post("/api/sessions", {"username": who.username, "password": who.password}), 401)
    problem_of(admin.post("/send-notification", {"username": who.username, "wait": False}), 404)
    json_of(admin.post("/api/users", {"username": who.username, "password": PASSWORD, "roles": ["user"]}), 201)


def test_users_are_listed_in_order_of_names_without_hashes(admin: Client, person: NewPerson) -> None:
    made = {person().username for _ in range(3)}
    listed: list[str] = []
    path = "/api/users?limit=2"
    page = admin.get(path)
    while True:
        assert "argon2" not in page.text
        listed += [item["username"] for item in json_of(page)["items"]]
        if (cursor := json_of(page)["nextCursor"]) is None:
            break
        page = admin.get(f"{path}&cursor={cursor}")
    assert listed == sorted(set(listed))
    assert made | {"admin"} <= set(listed)


def _created(admin: Client, new: dict[str, Any]) -> requests.Response:
    """Create a user, and repeat the call while the proxy refuses it with 503."""

    def let_in() -> list[requests.Response]:
        answer = admin.post("/api/users", new)
        return [] if answer.status_code == 503 else [answer]

    return eventually(let_in)[0]
