"""Stores users and their API keys in one DynamoDB table. A conditional write keeps each name unique.

A change that must end the user's sessions writes a new credentials version (``epoch``) and an outbox entry (the
attribute ``dismiss``, a pending revocation) in the same update. Sessions store the epoch under which they were opened.
Revoking ends sessions of other epochs, and then removes the entry.

A user who becomes an administrator, or is one no longer, changes in one transaction with the set of administrators'
names (`admins`), on the condition that an administrator remains.

`keyring` has the API keys, which are attributes of the same items.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import ids
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table, TransactionRefused
from chalicelib.core.web.roles import Role
from chalicelib.users import admins, enrolment, links
from chalicelib.users.admins import Administrators
from chalicelib.users.enrolment import new_item
from chalicelib.users.errors import LastAdmin, UsernameTaken, UserNotFound
from chalicelib.users.index import Index, key
from chalicelib.users.keyring import Keyring, account_id, user
from chalicelib.users.models import Credentials, ShownUser, User

_PENDING = "due"
#: A try fails only if another call made the user an administrator, or ended that, in between.
_TRIES = 8


class Revocation(NamedTuple):
    """A pending revocation: sessions of *username* with other epochs than *epoch* must end; if *gone*, all must."""

    username: str
    epoch: str
    gone: bool


class UserStore(Keyring):
    """Users, their password hashes, API keys and pending revocations."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.admins, self.index = Administrators(table), Index(table)

    def add(self, username: str, password_hash: str, roles: Iterable[Role], operation_id: str | None = None) -> User:
        """Make a user with a new account id. Atomic: of concurrent calls for a name, one succeeds.

        Safe to repeat under one *operation_id*: the account id stays. No password matches the hash "".

        Raises:
            UsernameTaken: another operation made a user of the same name, or a deleted user has not been revoked yet.
        """
        item = new_item(username, password_hash, roles, operation_id or ids.new_id())
        try:
            # A deleted user keeps the name until every session has ended.
            if Role.ADMIN in item["roles"]:
                new = self._table.put_entry(item, when="attribute_not_exists(pk)")
                self._table.transact([new, self.admins.added(username)])
            else:
                self._table.put(item, when="attribute_not_exists(pk)")
        except (ConditionFailed, TransactionRefused) as refused:
            stored = (refused.item if isinstance(refused, ConditionFailed) else refused.reasons[0].item) or {}
            if stored.get("madeBy") != item["madeBy"] or stored.get("gone"):
                raise UsernameTaken from refused
            return user(stored)
        return user(item)

    def find(self, username: str) -> User | None:
        """Return the current state of the user, or None if there is no such user."""
        item = self._read(username)
        return user(item) if item else None

    def accounts(self, usernames: Sequence[str]) -> dict[str, str]:
        """Return the account id of each of *usernames* with a current user. At most a hundred names, in one read."""
        found = self._table.batch_get([key(username) for username in usernames])
        return {item["username"]: account_id(item) for item in found if not item.get("gone")}

    def credentials(self, username: str) -> Credentials | None:
        """Return the current state of the user with the password hash, or None if there is no such user."""
        item = self._read(username)
        return Credentials(user(item), item["passwordHash"]) if item else None

    def page(self, limit: int, after: str | None) -> list[ShownUser]:
        """Return up to *limit* users after the name *after*, ordered by name."""
        # The index has the public fields of users alone.
        return [user(item).shown() for item in self.index.page(after or "", limit)]

    def change(self, username: str, *, password_hash: str | None, roles: Iterable[Role] | None) -> User:
        """Write a new hash or new roles, and a pending revocation of the user's sessions, in one update or transaction.

        Raises:
            UserNotFound: there is no such user.
            LastAdmin: no other administrator would remain; nothing was written.
        """
        changes: Item = {"updatedAt": enrolment.stamp(), "epoch": ids.new_id(), "dismiss": _PENDING}
        if password_hash is not None:
            changes["passwordHash"] = password_hash
        if roles is None:
            return user(self._update(username, changes))
        changes["roles"] = sorted(roles)
        return user(self._decide(username, changes, admin=Role.ADMIN in changes["roles"]))

    def rehash(self, username: str, old_hash: str, new_hash: str) -> None:
        """Replace *old_hash* by *new_hash*, a hash of the same password, so no session ends.

        Changes nothing if the user has another hash by now, or is deleted.
        """
        when, values = "passwordHash = :old AND attribute_not_exists(gone)", {":old": old_hash, ":new": new_hash}
        with suppress(ConditionFailed):
            self._table.update(key(username), "SET passwordHash = :new", when=when, values=values)

    def remove(self, username: str) -> User:
        """Disable sign-in and write a pending revocation, atomically. `complete_revocation` deletes the item later.

        Raises:
            UserNotFound: there is no such user.
            LastAdmin: no other administrator would remain; nothing was written.
        """
        changes = {"gone": True, "epoch": ids.new_id(), "dismiss": _PENDING}
        return user(self._decide(username, changes, admin=False, drop="kind"))

    def pending_revocations(self) -> list[Revocation]:
        """Return pending revocations ordered by username; a bounded number per call."""
        found = self._table.query("by-dismiss", "dismiss", _PENDING)
        return [Revocation(item["username"], item["epoch"], item.get("gone", False)) for item in found]

    def complete_revocation(self, done: Revocation) -> None:
        """Complete the revocation *done*: remove the entry, and for a deleted user the item.

        Changes nothing if a newer change of the user has written another entry.
        """
        pk, when, values = key(done.username), "epoch = :epoch", {":epoch": done.epoch}
        try:
            if done.gone:
                self._table.delete(pk, when=when, values=values)
            else:
                self._table.update(pk, "REMOVE dismiss", when=when, values=values)
        except ConditionFailed:
            return

    def _decide(self, username: str, changes: Item, *, admin: bool, drop: str = "") -> Item:
        """Apply *changes*, after which the user is an administrator if *admin*, and return the item.

        A condition demands what was read of the user's role, so the set of administrators always agrees.

        Raises:
            UserNotFound: there is no such user.
            LastAdmin: no other administrator would remain.
            Unavailable: other calls changed the role each time.
        """
        for _ in range(_TRIES):
            if (stored := self._read(username)) is None:
                raise UserNotFound
            if "updatedAt" in changes:
                changes["updatedAt"] = max(changes["updatedAt"], stored["updatedAt"])
            was = Role.ADMIN.value in stored["roles"]
            try:
                if was == admin:
                    return self._update(username, changes, drop, was=was)
                return self._transact(stored, changes, drop, admin=admin)
            except (ConditionFailed, TransactionRefused):
                continue
        raise Unavailable("Other calls are changing this user just now.")

    def _transact(self, stored: Item, changes: Item, drop: str, *, admin: bool) -> Item:
        """Apply *changes* to the user, and add the name to the administrators or take it away, in one transaction."""
        username: str = stored["username"]
        change = self._table.update_entry(**_changed(username, changes, drop, was=not admin))
        if admin:
            self._table.transact([change, self.admins.added(username)])
            return stored | changes
        try:
            self._table.transact([change, self.admins.taken(username)])
        except TransactionRefused as refused:
            if self.admins.last(username, refused):
                raise LastAdmin from refused
            raise
        return stored | changes

    def _update(self, username: str, changes: Item, drop: str = "", *, was: bool | None = None) -> Item:
        """Apply *changes* in one update; with *was*, only if the user is an administrator or not, as *was* says."""
        try:
            return self._table.update(**_changed(username, changes, drop, was=was))
        except ConditionFailed as refused:
            stored = refused.item or {}
            # If the SDK lost the first answer and repeated the call, our own first write refused the second.
            if stored.get("epoch") == changes["epoch"]:
                return stored
            if not stored or stored.get("gone"):
                raise UserNotFound from refused
            if was is not None:
                raise
        # A process whose clock is ahead made the change before.
        return self._update(username, changes | {"updatedAt": stored["updatedAt"]})


def _changed(username: str, changes: Item, drop: str, *, was: bool | None) -> dict[str, Any]:
    """Return the arguments of an update of an existing user."""
    sets = ", ".join(f"#{name} = :{name}" for name in changes)
    when = "attribute_exists(pk) AND attribute_not_exists(gone)"
    values, names = {f":{name}": value for name, value in changes.items()}, {f"#{name}": name for name in changes}
    # A link that sets a password ends with every change of the password.
    dropped = [*([drop] if drop else []), *(links.STORED if "passwordHash" in changes else ())]
    names |= {f"#{name}": name for name in dropped}
    if "updatedAt" in changes:
        # No change is earlier than the change before. The texts sort as the times.
        when += " AND #updatedAt <= :updatedAt"
    if was is not None:
        when += f" AND {'' if was else 'NOT '}{admins.IS_ADMIN}"
        values, names = values | admins.VALUES, names | admins.NAMES
    return {
        "pk": key(username),
        "change": f"SET {sets}" + (f" REMOVE {', '.join(f'#{name}' for name in dropped)}" if dropped else ""),
        "when": when,
        "values": values,
        "names": names,
    }
