"""Exact counts: a count changes in the transaction of the counted work. No scan is ever needed.

A count is spread over several items (shards), so that concurrent transactions seldom conflict.
"""

import random
from collections.abc import Mapping, Sequence

from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table, Write

_SHARDS = 8


class Counts:
    """Counts, each with a name and a field."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def adding(self, name: str, field: str, number: int = 1) -> Write:
        """Return a transaction entry that adds *number* to *field* of *name*."""
        shard = random.randrange(_SHARDS)  # noqa: S311 # spreads writes; nothing secret
        return self._table.update_entry(
            _key(name, shard), "ADD #field :number", values={":number": number}, names={"#field": field}
        )

    def read(self, names: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return *fields* of each of *names*; a count that never changed is 0. One round trip for a dozen names."""
        keys = [_key(name, shard) for name in names for shard in range(_SHARDS)]
        found = {item["pk"]: item for item in self._table.batch_get(keys)}
        return {name: {field: _sum(found, name, field) for field in fields} for name in names}


def _sum(found: Mapping[str, Item], name: str, field: str) -> int:
    return sum(found.get(_key(name, shard), {}).get(field, 0) for shard in range(_SHARDS))


def _key(name: str, shard: int) -> str:
    return f"count#{name}#{shard}"
