"""The names of all administrators, in one item of the users table, so that the last administrator cannot be lost.

A transaction that changes whether a user is an administrator changes the item too. `Administrators.seed` makes the item
agree with the users, for a table of an earlier version.
"""

from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table, TransactionRefused, Write
from chalicelib.core.web.roles import Role
from chalicelib.users.index import Index, key

_PK = "admins"
#: A condition on a user's item, and the condition's values.
IS_ADMIN = "contains(#roles, :admin)"
VALUES = {":admin": Role.ADMIN.value}
NAMES = {"#roles": "roles"}

_EXISTS = "attribute_exists(pk) AND attribute_not_exists(gone)"
#: The number of users that a seed expects; more cost further round trips.
_PAGE = 1_000
#: The code of a reason whose condition did not hold.
_REFUSED = "ConditionalCheckFailed"


class Administrators:
    """The set of administrators' names."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def names(self) -> frozenset[str]:
        """Return the names of all administrators, by a consistent read."""
        item = self._table.get(_PK) or {}
        return frozenset(item.get("names", ()))

    def added(self, username: str) -> Write:
        """Return the transaction entry that adds *username*."""
        return self._table.update_entry(_PK, "ADD #names :me", values=_me(username), names={"#names": "names"})

    def taken(self, username: str) -> Write:
        """Return the transaction entry that takes *username* away, on the condition that others remain."""
        # A set is never empty, so a set that is not the user's name alone has other names.
        others = "attribute_exists(#names) AND #names <> :me"
        return self._table.update_entry(
            _PK, "DELETE #names :me", when=others, values=_me(username), names={"#names": "names"}
        )

    def last(self, username: str, refused: TransactionRefused) -> bool:
        """Return whether the entry of `taken`, second in the *refused* transaction, found no other administrator.

        If no deployment has made the set yet, the set is made, and the answer follows from the set.
        """
        reason = refused.reasons[1]
        if reason.code != _REFUSED:
            return False
        return reason.item is not None or not self.seed() - {username}

    def seed(self) -> frozenset[str]:
        """Make the set agree with the users, and return the set. Safe to repeat, and beside changes of users."""
        found, listed = self._found(), self.names()
        for username in sorted(found - listed):
            self._settle(username, f"{_EXISTS} AND {IS_ADMIN}", self.added(username))
        for username in sorted(listed - found):
            gone = f"attribute_not_exists(pk) OR attribute_exists(gone) OR NOT {IS_ADMIN}"
            leave = self._table.update_entry(_PK, "DELETE #names :me", values=_me(username), names={"#names": "names"})
            self._settle(username, gone, leave)
        return self.names()

    def _settle(self, username: str, when: str, write: Write) -> None:
        """Apply *write* if the user's item meets *when*; else another call has changed the user, and the set."""
        demand = self._table.check(key(username), when=when, values=VALUES, names=NAMES)
        try:
            self._table.transact([demand, write])
        except TransactionRefused:
            return

    def _found(self) -> frozenset[str]:
        """Return the names of administrators by the index of users, which follows changes within about a second."""
        every = Index(self._table).after("", _PAGE)
        return frozenset(item["username"] for item in every if Role.ADMIN.value in item["roles"])


def _me(username: str) -> Item:
    return {":me": frozenset({username})}
