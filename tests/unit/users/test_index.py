"""The index of users over its partitions, and over the one partition of earlier versions."""

from collections import Counter
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from chalicelib.core.models import Username
from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import Table
from chalicelib.core.web.roles import Role
from chalicelib.users.index import Index, key, partition
from chalicelib.users.store import UserStore

NAMES = sorted(f"{letter}{number:02}@example.org" for letter in "abcd" for number in range(15))


def add(users: UserStore, *names: str) -> None:
    for name in names:
        users.add(name, "a hash", [Role.USER])


def put_back(*names: str) -> None:
    """Give users the value of ``kind`` that an earlier version stored."""
    for name in names:
        clients.table("users").change(
            key(name), "SET kind = :former", when="attribute_exists(pk)", values={":former": "user"}
        )


def pages(users: UserStore, limit: int) -> list[str]:
    read: list[str] = []
    while page := users.page(limit, read[-1] if read else None):
        assert len(page) <= limit
        read += [user.username for user in page]
    return read


def test_new_users_are_spread_over_partitions() -> None:
    counts = Counter(partition(f"user-{number}@example.org") for number in range(16_000))
    assert len(counts) == 16
    assert max(counts.values()) < 1.2 * 1_000


def test_a_new_user_stands_in_the_partition_of_the_name(users: UserStore) -> None:
    add(users, "ann")
    assert (clients.table("users").get(key("ann")) or {})["kind"] == partition("ann")


@pytest.mark.parametrize("limit", [1, 7, 60])
def test_pages_over_partitions_have_each_user_once_in_order(users: UserStore, limit: int) -> None:
    add(users, *reversed(NAMES))
    assert pages(users, limit) == NAMES


def test_users_of_earlier_versions_are_listed_among_new_ones(users: UserStore) -> None:
    add(users, *NAMES)
    put_back(*NAMES[::2])
    assert pages(users, 7) == NAMES


def test_an_upgrade_moves_users_of_earlier_versions_once(users: UserStore) -> None:
    add(users, *NAMES)
    put_back(*NAMES[:9])
    assert (users.index.upgrade(), users.index.upgrade()) == (9, 0)
    assert clients.table("users").query("by-kind", "kind", "user") == []
    assert pages(users, 50) == NAMES


def test_a_user_deleted_before_an_upgrade_stays_unlisted(users: UserStore) -> None:
    add(users, "ann")
    put_back("ann")
    users.remove("ann")
    users.index._move("ann")
    assert pages(users, 5) == []


def test_a_user_moved_during_a_read_is_returned_once(users: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an upgrade that moves the user after the former partition was read
    add(users, "ann", "ben")
    put_back("ben")
    query = Table.query

    def and_move(table: Table, *args: Any, **options: Any) -> Any:
        found = query(table, *args, **options)
        monkeypatch.setattr(Table, "query", query)
        users.index.upgrade()
        return found

    monkeypatch.setattr(Table, "query", and_move)
    # Then
    assert pages(users, 5) == ["ann", "ben"]


def test_a_page_of_a_few_users_reads_each_partition_once(users: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add(users, *NAMES)
    query, calls = Table.query, 0

    def counted(table: Table, *args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return query(table, *args, **options)

    monkeypatch.setattr(Table, "query", counted)
    assert [item["username"] for item in Index(clients.table("users")).page("", 20)] == NAMES[:20]
    assert calls <= 20


# --- names


@pytest.mark.parametrize(
    "name", ["o'brien@example.org", "_ann@example.org", "a+b@example.org", "-x@example.org", "ann", "0day", "a&b=c~d"]
)
def test_an_address_is_a_username(name: str) -> None:
    assert TypeAdapter(Username).validate_python(name.upper()) == name.lower()


@pytest.mark.parametrize("name", [".ann", "@ann", "..", "a/b@example.org", "a?b", "a#b", "a%b", "$a", "ä@example.org"])
def test_a_name_that_paths_or_stores_misread_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Username).validate_python(name)
