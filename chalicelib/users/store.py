"""Stores users and their API keys in one DynamoDB table. A conditional write keeps each name unique.

A change that must end the user's sessions writes a new credentials version (``epoch``) and an outbox entry (the
attribute ``dismiss``, a pending revocation) in the same update. Sessions store the epoch under which they were opened.
Revoking ends sessions of other epochs, and then removes the entry.

API keys are attributes of the user's own item, one attribute per key. So only an existing user can get a key, one read
returns the key with the user's current roles, and a deleted user has no keys.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import NamedTuple

from chalicelib.core.runtime import ids
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table
from chalicelib.core.web.roles import Role
from chalicelib.users import keys
from chalicelib.users.errors import KeyMade, KeyNotFound, NotService, TooManyKeys, UsernameTaken, UserNotFound
from chalicelib.users.models import Credentials, Key, User

_KIND = "user"
_PENDING = "due"
_KEY = "key#"
_MOST_KEYS = 20


class Revocation(NamedTuple):
    """A pending revocation: sessions of *username* with other epochs than *epoch* must end; if *gone*, all must."""

    username: str
    epoch: str
    gone: bool


class UserStore:
    """Users, their password hashes, API keys and pending revocations."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, username: str, password_hash: str, roles: Iterable[Role], operation_id: str | None = None) -> User:
        """Make a user. Atomic: of concurrent calls for a name, one succeeds. Safe to repeat under one *operation_id*.

        Raises:
            UsernameTaken: another operation made a user of the same name, or a deleted user has not been revoked yet.
        """
        now = _now()
        item = {
            "pk": _key(username),
            "kind": _KIND,
            "username": username,
            "passwordHash": password_hash,
            "roles": sorted(roles),
            "epoch": ids.new_id(),
            "createdAt": now,
            "updatedAt": now,
            "madeBy": operation_id or ids.new_id(),
        }
        try:
            # A deleted user keeps the name until every session has ended.
            self._table.put(item, when="attribute_not_exists(pk)")
        except ConditionFailed as refused:
            stored = refused.item or {}
            if stored.get("madeBy") != item["madeBy"] or stored.get("gone"):
                raise UsernameTaken from refused
            return _user(stored)
        return _user(item)

    def find(self, username: str) -> User | None:
        """Return the current state of the user, or None if there is no such user."""
        item = self._read(username)
        return _user(item) if item else None

    def unknown(self, usernames: Sequence[str]) -> list[str]:
        """Return the *usernames* without a current user. At most a hundred names, in one round trip."""
        found = self._table.batch_get([_key(username) for username in usernames])
        known = {item["username"] for item in found if not item.get("gone")}
        return [username for username in usernames if username not in known]

    def credentials(self, username: str) -> Credentials | None:
        """Return the current state of the user with the password hash, or None if there is no such user."""
        item = self._read(username)
        return Credentials(_user(item), item["passwordHash"]) if item else None

    def page(self, limit: int, after: str | None) -> list[User]:
        """Return up to *limit* users after the name *after*, ordered by name."""
        return [
            _user(item) for item in self._table.query("by-kind", "kind", _KIND, after=_key(after or ""), limit=limit)
        ]

    def change(self, username: str, *, password_hash: str | None, roles: Iterable[Role] | None) -> User:
        """Write a new hash or new roles, and a pending revocation of the user's sessions, in one update.

        Raises:
            UserNotFound: there is no such user.
        """
        changes: Item = {"updatedAt": _now(), "epoch": ids.new_id(), "dismiss": _PENDING}
        if password_hash is not None:
            changes["passwordHash"] = password_hash
        if roles is not None:
            changes["roles"] = sorted(roles)
        return _user(self._update(username, changes))

    def remove(self, username: str) -> User:
        """Disable sign-in and write a pending revocation, in one update. `complete_revocation` deletes the item later.

        Raises:
            UserNotFound: there is no such user.
        """
        return _user(self._update(username, {"gone": True, "epoch": ids.new_id(), "dismiss": _PENDING}, drop="kind"))

    def add_key(self, username: str, key: Key, *, again: bool) -> None:
        """Add a key to a service user. Atomic. *again* replaces a key with the same id, whose secret was lost.

        Raises:
            UserNotFound, NotService, TooManyKeys: nothing was written.
            KeyMade: a key with the same id exists, and *again* is false.
            KeyNotFound: the key to be replaced was removed meanwhile.
        """
        change, value = "SET #key = :key ADD keyCount :one", json.dumps(asdict(key))
        when = (
            "attribute_exists(pk) AND attribute_not_exists(gone) AND contains(#roles, :service) "
            "AND attribute_not_exists(#key) AND (attribute_not_exists(keyCount) OR keyCount < :most)"
        )
        values = {":key": value, ":one": 1, ":service": Role.SERVICE.value, ":most": _MOST_KEYS}
        names = {"#key": _KEY + key.key_id, "#roles": "roles"}
        try:
            self._table.update(_key(username), change, when=when, values=values, names=names)
        except ConditionFailed as refused:
            stored = refused.item or {}
            # If the SDK lost the first answer and repeated the call, the stored value is the value we wrote.
            if stored.get(names["#key"]) != value:
                self._replace_key(username, key, value, stored, again=again)

    def keys(self, username: str) -> list[Key]:
        """Return all keys of a user in the order of creation, including expired keys.

        Raises:
            UserNotFound: there is no such user.
        """
        if (item := self._read(username)) is None:
            raise UserNotFound
        return [_stored_key(item[name]) for name in sorted(item) if name.startswith(_KEY)]

    def remove_key(self, username: str, key_id: str) -> None:
        """Remove a key. The key is invalid at once. Atomic.

        Raises:
            KeyNotFound: there is no such key, or no such user.
        """
        try:
            self._table.update(
                _key(username),
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
        found, user = _stored_key(stored), _user(item)
        valid = keys.matches(key, found.digest) and not found.expired(now) and Role.SERVICE in user.roles
        return user if valid else None

    def pending_revocations(self) -> list[Revocation]:
        """Return pending revocations ordered by username; a bounded number per call."""
        found = self._table.query("by-dismiss", "dismiss", _PENDING)
        return [Revocation(item["username"], item["epoch"], item.get("gone", False)) for item in found]

    def complete_revocation(self, done: Revocation) -> None:
        """Complete the revocation *done*: remove the entry, and for a deleted user the item.

        Changes nothing if a newer change of the user has written another entry.
        """
        key, when, values = _key(done.username), "epoch = :epoch", {":epoch": done.epoch}
        try:
            if done.gone:
                self._table.delete(key, when=when, values=values)
            else:
                self._table.update(key, "REMOVE dismiss", when=when, values=values)
        except ConditionFailed:
            return

    def _replace_key(self, username: str, key: Key, value: str, stored: Item, *, again: bool) -> None:
        name = _KEY + key.key_id
        if not stored or stored.get("gone"):
            raise UserNotFound
        if name in stored and not again:
            raise KeyMade
        if name not in stored:
            raise NotService if Role.SERVICE.value not in stored["roles"] else TooManyKeys
        try:
            self._table.update(
                _key(username),
                "SET #key = :key",
                when="attribute_exists(#key)",
                values={":key": value},
                names={"#key": name},
            )
        except ConditionFailed as refused:
            raise KeyNotFound from refused

    def _read(self, username: str) -> Item | None:
        item = self._table.get(_key(username))
        return item if item and not item.get("gone") else None

    def _update(self, username: str, changes: Item, drop: str = "") -> Item:
        sets = ", ".join(f"#{name} = :{name}" for name in changes)
        names = {f"#{name}": name for name in changes} | ({f"#{drop}": drop} if drop else {})
        try:
            return self._table.update(
                _key(username),
                f"SET {sets}" + (f" REMOVE #{drop}" if drop else ""),
                when="attribute_exists(pk) AND attribute_not_exists(gone)",
                values={f":{name}": value for name, value in changes.items()},
                names=names,
            )
        except ConditionFailed as refused:
            stored = refused.item or {}
            # If the SDK lost the first answer and repeated the call, our own first write refused the second.
            if stored.get("epoch") != changes["epoch"]:
                raise UserNotFound from refused
            return stored


def _key(username: str) -> str:
    return f"{_KIND}#{username}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _user(item: Item) -> User:
    return User(
        username=item["username"],
        roles=frozenset(Role(role) for role in item["roles"]),
        epoch=item["epoch"],
        created_at=item["createdAt"],
        updated_at=item["updatedAt"],
    )


def _stored_key(value: str) -> Key:
    return Key(**json.loads(value))
