"""The index of users by name, spread over 16 partitions by a hash of the name.

One partition takes about a thousand writes a second (AWS, "Partition key design"), and an activation makes users
faster. A read merges the partitions, each of which is in the order of names.
"""

import hashlib
from collections.abc import Iterator
from heapq import merge
from itertools import groupby, islice

from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table

#: The prefix of users' keys, and the one partition of earlier versions. `upgrade` empties the partition.
KIND = "user"
_NAME = "by-kind"
_PARTITIONS = tuple(f"{KIND}#{number:x}" for number in range(16))
#: Read first: a user whom an upgrade moves during a read is then read twice rather than missed, and returned once.
_ALL = (KIND, *_PARTITIONS)
#: Names read from a partition beyond its expected share, so that most pages need one query of each partition.
_SPARE = 4
_PAGE = 500


def key(username: str) -> str:
    """Return the key of a user's item."""
    return f"{KIND}#{username}"


def partition(username: str) -> str:
    """Return the value of ``kind`` in the item of the user."""
    return _PARTITIONS[hashlib.sha256(username.encode()).digest()[0] % len(_PARTITIONS)]


class Index:
    """All current users in the order of their names, following changes within about a second."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def after(self, username: str, expected: int) -> Iterator[Item]:
        """Yield the public attributes of each user beyond *username*, once. Reads on while items are taken.

        *expected* is the number of items that the caller will take; the right number saves round trips.
        """
        size = max(1, -(-expected // len(_PARTITIONS)) + _SPARE)
        runs = [self._run(each, key(username), size) for each in _ALL]
        for _, same in groupby(merge(*runs, key=_pk), key=_pk):
            yield next(same)

    def page(self, username: str, limit: int) -> list[Item]:
        """Return the public attributes of up to *limit* users beyond *username*."""
        return list(islice(self.after(username, limit), limit))

    def upgrade(self) -> int:
        """Move users of the one partition of earlier versions; return how many. Safe to repeat, and beside calls."""
        moved, after = 0, key("")
        while page := self._table.query(_NAME, "kind", KIND, after=after, limit=_PAGE):
            moved += sum(self._move(item["username"]) for item in page)
            after = page[-1]["pk"]
        return moved

    def _move(self, username: str) -> bool:
        """Return whether the user stood in the former partition and was moved. A deleted user stays out of lists."""
        values = {":former": KIND, ":new": partition(username)}
        try:
            self._table.change(
                key(username), "SET #kind = :new", when="#kind = :former", values=values, names={"#kind": "kind"}
            )
        except ConditionFailed:
            return False
        return True

    def _run(self, kind: str, after: str, size: int) -> Iterator[Item]:
        """Yield the items of one partition beyond the key *after*."""
        # An answer ends at 1 MB, so only an empty answer is the end, or a short answer that is far below 1 MB.
        while page := self._table.query(_NAME, "kind", kind, after=after, limit=size):
            yield from page
            if len(page) < size <= _PAGE:
                return
            after = page[-1]["pk"]


def _pk(item: Item) -> str:
    pk: str = item["pk"]
    return pk
