"""Where entries live: one item each, and one for the head, in a DynamoDB table of their own.

An entry is put where none stands, in one transaction with the head's move from the entry before it. So of many who
write at the same time one is next, and the others are told that the head has moved on.
"""

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from chalicelib.core.runtime import logs
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table, Write
from chalicelib.ledger.models import EMPTY, Entry, Head

_HEAD = "head"


class LedgerStore:
    """The chain."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self) -> Head:
        """Return the last entry as it is at this moment."""
        item = self._table.get(_HEAD)
        return Head(item["seq"], item["hash"]) if item else EMPTY

    def appending(self, head: Head, entry: Entry) -> list[Write]:
        """Return the writes that put *entry* behind *head*, for a transaction; refused if another one stands there."""
        empty = head == EMPTY
        move = self._table.update_entry(
            _HEAD,
            "SET seq = :seq, #hash = :hash",
            when="attribute_not_exists(pk)" if empty else "seq = :before AND #hash = :sealed",
            values={":seq": entry.seq, ":hash": entry.hash}
            | ({} if empty else {":before": head.seq, ":sealed": head.hash}),
            names={"#hash": "hash"},
        )
        item = {"pk": _key(entry.seq), **entry.model_dump()}
        return [move, self._table.put_entry(item, when="attribute_not_exists(pk)")]

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Return what stands in the *limit* places behind *after*, in their order; what is no entry is left out."""
        places = [_key(seq) for seq in range(after + 1, after + limit + 1)]
        found = {item["pk"]: item for item in self._table.batch_get(places)}
        return list(_readable(found[place] for place in places if place in found))


def _key(seq: int) -> str:
    return f"entry#{seq}"


def _readable(items: Iterable[Item]) -> Iterator[Entry]:
    for item in items:
        try:
            yield Entry.model_validate({name: value for name, value in item.items() if name != "pk"})
        except ValidationError as error:
            logs.failed("entry_not_read", error)
