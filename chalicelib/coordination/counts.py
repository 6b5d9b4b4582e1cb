"""Counts that are exact: they move in the transaction of what they count, and are never a scan.

A count is spread over a few items, so that many transactions at once seldom meet in one.
"""

import random
from collections.abc import Sequence

from chalicelib.dynamo import Table, Write

_SHARDS = 8


class Counts:
    """Counts by name and field."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def adding(self, name: str, field: str) -> Write:
        """Return a transaction's entry that adds one to *field* of *name*."""
        shard = random.randrange(_SHARDS)  # noqa: S311 # spreads writes; nothing secret
        return self._table.updating(_key(name, shard), "ADD #field :one", values={":one": 1}, names={"#field": field})

    def read(self, name: str, fields: Sequence[str]) -> dict[str, int]:
        """Return *fields* of *name*; one that never moved is 0."""
        items = self._table.batch([_key(name, shard) for shard in range(_SHARDS)])
        return {field: sum(item.get(field, 0) for item in items) for field in fields}


def _key(name: str, shard: int) -> str:
    return f"count#{name}#{shard}"
