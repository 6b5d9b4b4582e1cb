import threading
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber

from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.users.errors import UsernameTaken, UserNotFound
from chalicelib.users.index import partition
from chalicelib.users.models import User
from chalicelib.users.store import Revocation, UserStore
from tests.support.concurrency import race


def add(users: UserStore, username: str = "ann") -> User:
    return users.add(username, "a hash", [Role.USER])


def stored(dynamodb: Any, username: str = "ann") -> dict[str, Any]:
    key = {"pk": {"S": f"user#{username}"}}
    answer = dynamodb.get_item(TableName=clients.table("users").name, Key=key)
    item: dict[str, Any] = answer.get("Item", {})
    return item


# --- adding and finding


def test_a_new_user_is_found(users: UserStore) -> None:
    user = users.add("ann", "a hash", [Role.USER, Role.OFFICER])
    assert users.find("ann") == user
    assert (user.username, user.roles) == ("ann", frozenset({Role.OFFICER, Role.USER}))
    assert user.created_at == user.updated_at
    found = users.credentials("ann")
    assert found is not None
    assert (found.user, found.password_hash) == (user, "a hash")


def test_an_unknown_user_is_not_found(users: UserStore) -> None:
    assert users.find("nobody") is None
    assert users.credentials("nobody") is None
    with pytest.raises(UserNotFound):
        users.change("nobody", password_hash="x", roles=None)
    with pytest.raises(UserNotFound):
        users.remove("nobody")


def test_a_taken_name_is_refused_and_its_user_unchanged(users: UserStore) -> None:
    first = add(users)
    with pytest.raises(UsernameTaken):
        users.add("ann", "another hash", [Role.ADMIN])
    found = users.credentials("ann")
    assert found is not None
    assert (found.user, found.password_hash) == (first, "a hash")


def test_racing_additions_of_a_name_have_one_winner(users: UserStore) -> None:
    # When
    results = race([partial(users.add, "ann", f"hash {number}", [Role.USER]) for number in range(50)])
    # Then
    winners = [result for result in results if isinstance(result, User)]
    assert len(winners) == 1
    assert sum(isinstance(result, UsernameTaken) for result in results) == 49
    assert users.find("ann") == winners[0]


# --- changing


@pytest.mark.parametrize(
    ("changes", "password_hash", "roles"),
    [
        ({"password_hash": "new", "roles": None}, "new", {Role.USER}),
        ({"password_hash": None, "roles": [Role.OFFICER]}, "a hash", {Role.OFFICER}),
        ({"password_hash": "new", "roles": [Role.ADMIN]}, "new", {Role.ADMIN}),
    ],
)
def test_a_change_writes_a_new_epoch_and_a_pending_revocation(
    users: UserStore, dynamodb: Any, changes: dict[str, Any], password_hash: str, roles: set[Role]
) -> None:
    # Given
    before = add(users)
    # When
    after = users.change("ann", **changes)
    # Then
    found = users.credentials("ann")
    assert found is not None
    assert (found.user, found.password_hash, set(found.user.roles)) == (after, password_hash, roles)
    assert after.epoch != before.epoch
    assert after.created_at == before.created_at
    assert users.pending_revocations() == [Revocation("ann", after.epoch, gone=False)]


def test_a_removed_users_name_is_taken_until_revocation_completes(users: UserStore) -> None:
    # Given
    add(users)
    # When
    removed = users.remove("ann")
    # Then
    assert users.find("ann") is None
    assert users.credentials("ann") is None
    assert users.page(9, None) == []
    with pytest.raises(UserNotFound):
        users.remove("ann")
    with pytest.raises(UserNotFound):
        users.change("ann", password_hash="x", roles=None)
    with pytest.raises(UsernameTaken):
        add(users)
    # And when the revocation is complete
    users.complete_revocation(Revocation("ann", removed.epoch, gone=True))
    assert add(users).epoch != removed.epoch


def test_a_completed_revocation_is_no_longer_pending(users: UserStore, dynamodb: Any) -> None:
    add(users)
    changed = users.change("ann", password_hash="new", roles=None)
    users.complete_revocation(Revocation("ann", changed.epoch, gone=False))
    assert users.pending_revocations() == []
    assert "dismiss" not in stored(dynamodb)
    assert users.find("ann") == changed


def test_an_older_revocation_leaves_a_newer_pending_revocation(users: UserStore) -> None:
    # Given
    add(users)
    older = users.change("ann", password_hash="new", roles=None)
    newer = users.change("ann", password_hash="newer", roles=None)
    # When
    users.complete_revocation(Revocation("ann", older.epoch, gone=False))
    users.complete_revocation(Revocation("ann", older.epoch, gone=True))
    # Then
    assert users.pending_revocations() == [Revocation("ann", newer.epoch, gone=False)]
    assert users.find("ann") == newer


def test_completing_a_revocation_of_a_deleted_user_does_nothing(users: UserStore, dynamodb: Any) -> None:
    users.complete_revocation(Revocation("ann", "old", gone=False))
    users.complete_revocation(Revocation("ann", "old", gone=True))
    assert stored(dynamodb) == {}


# --- a lost answer


@pytest.fixture
def lose_response(users: UserStore, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While set, the response of the next write is lost after DynamoDB applied the write; the SDK then retries."""
    losing, answer = threading.Event(), BotocoreStubber.__call__

    def lose(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        answered = answer(stubber, event_name, request, **more)
        if losing.is_set():
            losing.clear()
            raise ReadTimeoutError(endpoint_url=request.url)
        return answered

    monkeypatch.setattr(BotocoreStubber, "__call__", lose)
    return losing


def test_an_addition_with_a_lost_response_succeeds(users: UserStore, lose_response: threading.Event) -> None:
    lose_response.set()
    user = add(users)
    assert users.find("ann") == user
    assert not lose_response.is_set()


def test_a_removal_with_a_lost_response_succeeds(users: UserStore, lose_response: threading.Event) -> None:
    add(users)
    lose_response.set()
    removed = users.remove("ann")
    assert users.pending_revocations() == [Revocation("ann", removed.epoch, gone=True)]


def test_a_change_with_a_lost_response_is_made_once(users: UserStore, lose_response: threading.Event) -> None:
    add(users)
    lose_response.set()
    assert users.change("ann", password_hash="new", roles=None) == users.find("ann")


# --- lists


def test_pages_list_every_user_in_order_of_names(users: UserStore) -> None:
    # Given
    names = sorted(["bob", "ann", "a", "zoe", "ann@example.org", "ann.b", "ann-b", "ann_b", "0day"])
    for name in reversed(names):
        add(users, name)
    # When
    read: list[str] = []
    while page := users.page(2, read[-1] if read else None):
        read += [user.username for user in page]
    # Then
    assert read == names


def test_a_page_of_users_holds_no_password_hash(users: UserStore, dynamodb: Any) -> None:
    user = add(users)
    assert users.page(9, None) == [user.shown()]
    query = {"KeyConditionExpression": "kind = :kind", "ExpressionAttributeValues": {":kind": {"S": partition("ann")}}}
    answer = dynamodb.query(TableName=clients.table("users").name, IndexName="by-kind", **query)
    assert set(answer["Items"][0]) == {"pk", "kind", "username", "roles", "epoch", "createdAt", "updatedAt"}
