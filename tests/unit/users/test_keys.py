"""API keys: for services, without MongoDB, invalid as soon as their user or role is gone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.users import keys
from chalicelib.users.errors import TooManyKeys
from chalicelib.users.models import Key
from chalicelib.users.store import UserStore
from tests.support.concurrency import race
from tests.support.gateway import Answer, ask
from tests.support.users import UNUSABLE, signed_in

Mongo = Database[dict[str, Any]]

KEYS = "/api/users/batch/keys"
#: A route for administrators that reads DynamoDB alone.
ALONE = "/api/users"

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def admin(dynamodb: Any, mongodb: Mongo) -> str:
    return signed_in("root", Role.ADMIN)


@pytest.fixture
def service(admin: str, users: UserStore) -> str:
    users.add("batch", UNUSABLE, [Role.SERVICE, Role.ADMIN])
    return "batch"


@pytest.fixture
def key(admin: str, service: str) -> str:
    return str(make(admin).json["key"])


def make(admin: str, **fields: Any) -> Answer:
    return ask("POST", KEYS, {"name": "nightly", **fields}, token=admin)


def status(key: str) -> int:
    return ask("GET", ALONE, token=key).status


def test_a_key_authenticates_like_a_session_token(admin: str, service: str) -> None:
    made = make(admin)
    assert made.status == 201
    assert set(made.json) == {"keyId", "key", "name", "createdAt", "createdBy", "expiresAt"}
    assert made.json["key"].startswith("hfk_")
    assert (made.json["createdBy"], made.json["expiresAt"]) == ("root", None)
    assert status(made.json["key"]) == 200


def test_a_key_needs_no_mongodb(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise AssertionError("MongoDB was asked")

    monkeypatch.setattr(clients, "mongodb", down)
    monkeypatch.setattr(sessions_wiring, "store", down)
    assert status(key) == 200


def test_a_key_costs_one_read(key: str, printed: Any) -> None:
    ask("GET", "/api/users/batch", token=key)
    (line,) = printed.lines()
    assert line["storeRoundTrips"] == 2
    assert line["user"] == "batch"


def test_a_key_is_shown_once_and_kept_as_a_hash(admin: str, key: str, dynamodb: Any) -> None:
    secret = key.rpartition(".")[2]
    listed = ask("GET", KEYS, token=admin)
    assert [set(item) for item in listed.json["items"]] == [{"keyId", "name", "createdAt", "createdBy", "expiresAt"}]
    stored = repr(dynamodb.scan(TableName=clients.table("users").name))
    assert secret not in listed.text + stored
    # The stored hash is no key.
    assert status(key.replace(secret, keys.digest(key)[:43])) == 401


def test_a_deleted_key_is_refused_at_once_and_others_work(admin: str, key: str) -> None:
    other = make(admin).json
    assert ask("DELETE", f"{KEYS}/{other['keyId']}", token=admin).status == 204
    assert (status(other["key"]), status(key)) == (401, 200)
    assert ask("DELETE", f"{KEYS}/{other['keyId']}", token=admin).status == 404


def test_a_key_has_the_roles_its_user_has_now(key: str, users: UserStore) -> None:
    users.change("batch", password_hash=None, roles=[Role.SERVICE])
    assert (status(key), ask("GET", "/api/sessions/current", token=key).status) == (403, 404)


def test_a_key_is_refused_after_its_user_lost_the_service_role(key: str, users: UserStore) -> None:
    users.change("batch", password_hash=None, roles=[Role.ADMIN])
    assert status(key) == 401


def test_keys_of_a_removed_user_stay_invalid_for_a_new_user(key: str, users: UserStore) -> None:
    users.remove("batch")
    assert status(key) == 401
    (pending,) = users.pending_revocations()
    users.complete_revocation(pending)
    users.add("batch", UNUSABLE, [Role.SERVICE, Role.ADMIN])
    assert status(key) == 401


def test_a_key_survives_a_password_change(key: str, users: UserStore) -> None:
    users.change("batch", password_hash=UNUSABLE, roles=None)
    assert status(key) == 200


def test_a_key_is_invalid_at_its_expiry(users: UserStore, service: str) -> None:
    now = datetime.now(UTC)
    token = put(users, expires_at=now + timedelta(seconds=1))
    assert users.holder(token, now) is not None
    assert users.holder(token, now + timedelta(seconds=1)) is None


@pytest.mark.parametrize("when", ["2020-01-01T00:00:00Z", "tomorrow", "2999-01-01T00:00:00", 4_000_000_000])
def test_a_key_with_an_expiry_in_the_past_is_refused(admin: str, service: str, when: object) -> None:
    refused = make(admin, expiresAt=when)
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "expiresAt")


def test_an_expiry_in_any_time_zone_is_stored_in_utc(admin: str, service: str) -> None:
    assert make(admin, expiresAt="2999-01-01T02:00:00+02:00").json["expiresAt"] == "2999-01-01T00:00:00Z"


def test_only_services_have_keys(admin: str, users: UserStore) -> None:
    users.add("ann", UNUSABLE, [Role.ADMIN, Role.OFFICER, Role.USER])
    assert ask("POST", "/api/users/ann/keys", {"name": "mine"}, token=admin).status == 409
    assert ask("POST", "/api/users/nobody/keys", {"name": "mine"}, token=admin).status == 404
    assert ask("GET", "/api/users/nobody/keys", token=admin).status == 404


def test_racing_calls_make_twenty_keys_of_a_user_at_most(service: str, users: UserStore) -> None:
    outcomes = race([lambda: put(users)] * 30)
    assert sum(isinstance(outcome, TooManyKeys) for outcome in outcomes) == 10
    kept = users.keys("batch", datetime.now(UTC))
    assert len(kept) == 20
    # A removed key makes room for a new key.
    users.remove_key("batch", kept[0].key_id)
    put(users)
    with pytest.raises(TooManyKeys):
        put(users)


def test_keys_are_listed_page_by_page(admin: str, service: str) -> None:
    made = [make(admin, name=f"k{number}").json["keyId"] for number in range(3)]
    first = ask("GET", KEYS, token=admin, query={"limit": "2"}).json
    second = ask("GET", KEYS, token=admin, query={"limit": "2", "cursor": first["nextCursor"]}).json
    assert sorted(made) == [item["keyId"] for item in first["items"] + second["items"]]
    assert second["nextCursor"] is None


def test_keys_are_listed_by_time_and_not_by_id(admin: str, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given processes whose clocks differ, and so the beginnings of their ids
    made, true = [], ids.new_id
    for first in "7315":
        monkeypatch.setattr(ids, "new_id", lambda first=first: f"{first}{true()[1:]}")
        made.append(make(admin, name=first).json["keyId"])
    query, read = {"limit": "3"}, []
    for _ in range(2):
        page = ask("GET", KEYS, token=admin, query=query).json
        read += [item["keyId"] for item in page["items"]]
        query["cursor"] = page["nextCursor"]
    assert read == made


def test_a_key_with_parts_of_another_is_refused(admin: str, key: str, users: UserStore) -> None:
    users.add("other", UNUSABLE, [Role.SERVICE, Role.ADMIN])
    other = str(ask("POST", "/api/users/other/keys", {"name": "x"}, token=admin).json["key"])
    (name, key_id, secret), (other_name, _, other_secret) = key.split("."), other.split(".")
    for mixed in (f"{name}.{key_id}.{other_secret}", f"{other_name}.{key_id}.{secret}"):
        assert status(mixed) == 401


@pytest.mark.parametrize("name", ["YQ", "_-8", "A", "A" * 5000, "", "Y Q"])
def test_a_key_of_an_unknown_user_is_refused(admin: str, name: str) -> None:
    assert status(f"hfk_{name}.01ARZ3NDEKTSV4RRFFQ69G5FAV.{'x' * 43}") == 401


@pytest.mark.parametrize("token", ["hfk_", "hfk_x", "hfk_YQ.01ARZ3NDEKTSV4RRFFQ69G5FAV", "hfk_YQ.x." + "x" * 43])
def test_a_malformed_key_is_refused(admin: str, token: str) -> None:
    assert status(token) == 401


@pytest.mark.parametrize("name", ["a", "ann@example.com", "a" * 254, "x+y_z.w-v"])
def test_a_key_names_its_user_and_its_id(name: str) -> None:
    key_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert keys.read(keys.new_key(name, key_id)) == (name, key_id)


def test_only_administrators_make_keys(service: str) -> None:
    officer = signed_in("olga", Role.OFFICER, Role.SERVICE)
    assert make(officer).status == 403


def test_expired_keys_make_room_for_a_new_one(service: str, users: UserStore) -> None:
    # Given twenty keys, of which eighteen have expired
    for number in range(20):
        put(users, PAST if number >= 2 else None)
    assert len(users.keys("batch", datetime.now(UTC))) == 2
    # When
    outcomes = race([lambda: put(users)] * 30)
    # Then
    assert sum(isinstance(outcome, TooManyKeys) for outcome in outcomes) == 12
    assert len(users.keys("batch", datetime.now(UTC))) == 20


def test_expired_keys_are_not_listed(admin: str, service: str, users: UserStore) -> None:
    put(users, PAST)
    kept = make(admin).json["keyId"]
    assert [item["keyId"] for item in ask("GET", KEYS, token=admin).json["items"]] == [kept]


def put(users: UserStore, expires_at: datetime | None = None) -> str:
    """Store a key of the service without the API; return the key."""
    key_id = ids.new_id()
    token = keys.new_key("batch", key_id)
    ends = expires_at.isoformat() if expires_at else None
    users.add_key("batch", Key(key_id, "k", keys.digest(token), "2026-01-01T00:00:00+00:00", "root", ends), again=False)
    return token
