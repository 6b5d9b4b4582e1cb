"""Makes many users at once, each by a condition on the name, and recognises users that the same operation made."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import ids
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table, TransactionRefused
from chalicelib.core.web.roles import Role
from chalicelib.users.index import key, partition
from chalicelib.users.keyring import account_id
from chalicelib.users.models import Enrolled

#: A try fails only if another call made one of the users in between.
_TRIES = 8


class Enrolment:
    """Users with the role user and without a password, who sign in after they have set one (`links`)."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def enrol(self, wanted: Mapping[str, str]) -> dict[str, Enrolled]:
        """Make a user of each name of *wanted* that has none; return the account under each name.

        *wanted* maps a name to the operation that makes the user. Safe to repeat, and beside other calls: the condition
        on a name decides who makes the user, and the item remembers the operation. At most a hundred names.

        Raises:
            Unavailable: some users may have been made; a repeat recognises them.
        """
        found = {item["username"]: item for item in self._table.batch_get([key(name) for name in wanted])}
        for _ in range(_TRIES):
            new = [new_item(name, "", [Role.USER], made_by) for name, made_by in wanted.items() if name not in found]
            taken = self._put(new)
            found |= {item["username"]: item for item in (taken or new)}
            if not taken:
                return {name: _enrolled(found[name], made_by) for name, made_by in wanted.items()}
        raise Unavailable("Other calls are making the same users just now.")

    def _put(self, items: Sequence[Item]) -> list[Item]:
        """Put all of *items* or nothing; return the items that stand in the way."""
        if not items:
            return []
        try:
            self._table.transact([self._table.put_entry(each, when="attribute_not_exists(pk)") for each in items])
        except TransactionRefused as refused:
            return [reason.item for reason in refused.reasons if reason.item]
        return []


def stamp() -> str:
    """Return the time of this process as users keep it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_item(username: str, password_hash: str, roles: Iterable[Role], made_by: str) -> Item:
    """Return the item of a new user, with a new account id. No password matches the hash ""."""
    now = stamp()
    return {
        "pk": key(username),
        "kind": partition(username),
        "username": username,
        "accountId": ids.new_id(),
        "passwordHash": password_hash,
        "roles": sorted(roles),
        "epoch": ids.new_id(),
        "createdAt": now,
        "updatedAt": now,
        "madeBy": made_by,
    }


def _enrolled(item: Item, made_by: str) -> Enrolled:
    return Enrolled(account_id(item), made=item.get("madeBy") == made_by, gone=bool(item.get("gone")))
