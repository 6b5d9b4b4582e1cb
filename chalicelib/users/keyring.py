"""Stores API keys as attributes of the items of their users, one attribute per key.

So only an existing user can get a key, one read returns the key with the user's current roles, and a deleted user has
no keys.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import accounts
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table
from chalicelib.core.web.roles import Role
from chalicelib.users import index, keys
from chalicelib.users.errors import KeyMade, KeyNotFound, NotService, TooManyKeys, UserNotFound
from chalicelib.users.models import Key, User

_KEY = "key#"
_MOST_KEYS = 20
#: A try fails only if another call changed the user's keys in between.
_TRIES = 8


class Keyring:
    """API keys, and their holders."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add_key(self, username: str, key: Key, *, again: bool) -> None:
        """Add a key to a service user. Atomic. *again* replaces a key with the same id, whose secret was lost.

        At the limit, the same update removes the keys that had expired when *key* was made.

        Raises:
            UserNotFound, NotService, TooManyKeys: nothing was written.
            KeyMade: a key with the same id exists, and *again* is false.
            KeyNotFound: the key to be replaced was removed meanwhile.
            Unavailable: other calls changed the keys each time.
        """
        name, value = _KEY + key.key_id, json.dumps(asdict(key))
        expired: Item = {}
        for _ in range(_TRIES):
            try:
                self._table.update(**_addition(username, name, value, expired))
            except ConditionFailed as refused:
                stored = refused.item or {}
            else:
                return
            # If the SDK lost the first answer and repeated the call, the stored value is the value we wrote.
            if stored.get(name) == value:
                return
            if name in stored and again and not stored.get("gone"):
                self._replace_key(username, name, value)
                return
            expired = _removable(stored, name, datetime.fromisoformat(key.created_at))
        raise Unavailable("Other calls are changing this user's keys just now.")

    def keys(self, username: str, now: datetime) -> list[Key]:
        """Return the keys of a user in the order of creation, without keys expired *now*.

        Raises:
            UserNotFound: there is no such user.
        """
        if (item := self._read(username)) is None:
            raise UserNotFound
        live = [key for key in _keys(item).values() if not key.expired(now)]
        return sorted(live, key=lambda key: key.position)

    def remove_key(self, username: str, key_id: str) -> None:
        """Remove a key. The key is invalid at once. Atomic.

        Raises:
            KeyNotFound: there is no such key, or no such user.
        """
        try:
            self._table.update(
                index.key(username),
                "REMOVE #key ADD keyCount :less",
                when="attribute_exists(#key)",
                values={":less": -1},
                names={"#key": _KEY + key_id},
            )
        except ConditionFailed as refused:
            raise KeyNotFound from refused

    def holder(self, key: str, now: datetime) -> User | None:
        """Return the user who owns *key*, or None if the key is invalid or expired, or the user is no service any more.

        One read of one item.
        """
        named = keys.read(key)
        item = self._read(named.username) if named else None
        stored = item.get(_KEY + named.key_id) if item and named else None
        if item is None or stored is None:
            return None
        found, holder = _stored_key(stored), user(item)
        valid = keys.matches(key, found.digest) and not found.expired(now) and Role.SERVICE in holder.roles
        return holder if valid else None

    def keeper(self, username: str, key_id: str, now: datetime) -> User | None:
        """Return the user *username*, or None if the user has no valid key *key_id*, or is no service any more.

        One read of one item.
        """
        item = self._read(username)
        stored = item.get(_KEY + key_id) if item else None
        if item is None or stored is None:
            return None
        holder = user(item)
        return holder if Role.SERVICE in holder.roles and not _stored_key(stored).expired(now) else None

    def _read(self, username: str) -> Item | None:
        item = self._table.get(index.key(username))
        return item if item and not item.get("gone") else None

    def _replace_key(self, username: str, name: str, value: str) -> None:
        try:
            self._table.update(
                index.key(username),
                "SET #key = :key",
                when="attribute_exists(#key)",
                values={":key": value},
                names={"#key": name},
            )
        except ConditionFailed as refused:
            raise KeyNotFound from refused


def user(item: Item) -> User:
    """Return the user of a stored item."""
    return User(
        username=item["username"],
        account_id=account_id(item),
        roles=frozenset(Role(role) for role in item["roles"]),
        epoch=item["epoch"],
        created_at=item["createdAt"],
        updated_at=item["updatedAt"],
    )


def account_id(item: Item) -> str:
    """Return the account id of a stored user; earlier versions stored none."""
    stored: str | None = item.get("accountId")
    return stored or accounts.id_of_name(item["username"])


def _addition(username: str, name: str, value: str, expired: Item) -> dict[str, Any]:
    """Return the arguments of the update that adds a key, and removes the *expired* keys if they are unchanged."""
    names = {"#key": name, "#roles": "roles"}
    values: Item = {":key": value, ":service": Role.SERVICE.value}
    values |= {":more": 1 - len(expired), ":most": _MOST_KEYS + len(expired)}
    change, when = (
        "SET #key = :key",
        (
            "attribute_exists(pk) AND attribute_not_exists(gone) AND contains(#roles, :service) "
            "AND attribute_not_exists(#key) AND (attribute_not_exists(keyCount) OR keyCount < :most)"
        ),
    )
    for number, (old, stored) in enumerate(expired.items()):
        names[f"#old{number}"], values[f":old{number}"] = old, stored
        when += f" AND #old{number} = :old{number}"
    if expired:
        change += " REMOVE " + ", ".join(f"#old{number}" for number in range(len(expired)))
    return {
        "pk": index.key(username),
        "change": f"{change} ADD keyCount :more",
        "when": when,
        "values": values,
        "names": names,
    }


def _removable(stored: Item, name: str, now: datetime) -> Item:
    """Return the attributes of keys expired *now*, which the next try removes.

    Raises:
        UserNotFound, KeyMade, NotService, TooManyKeys: the reason why no key can be added.
    """
    if not stored or stored.get("gone"):
        raise UserNotFound
    if name in stored:
        raise KeyMade
    if Role.SERVICE.value not in stored["roles"]:
        raise NotService
    expired = {old: stored[old] for old, key in _keys(stored).items() if key.expired(now)}
    if stored.get("keyCount", 0) - len(expired) >= _MOST_KEYS:
        raise TooManyKeys
    return expired


def _keys(item: Item) -> dict[str, Key]:
    return {name: _stored_key(item[name]) for name in sorted(item) if name.startswith(_KEY)}


def _stored_key(value: str) -> Key:
    return Key(**json.loads(value))
