"""Stores entries, and one item for the head, in a DynamoDB table of the ledger's own.

One transaction puts the entry, if no entry has the sequence number, and advances the head from the previous entry. Of
concurrent writers one succeeds, and the transactions of the others are refused.
"""

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from chalicelib.core.runtime import logs
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table, Write
from chalicelib.ledger.models import EMPTY, Entry, Head

_HEAD = "head"


class LedgerStore:
    """The chain of entries."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self) -> Head:
        """Return the current last entry, or `EMPTY`."""
        item = self._table.get(_HEAD)
        if item is None:
            return EMPTY
        # A head of an earlier version has no time.
        at = item["at"] if "at" in item else "".join(entry.at for entry in self.entries(item["seq"] - 1, 1))
        return Head(item["seq"], item["hash"], at)

    def appending(self, head: Head, entry: Entry) -> list[Write]:
        """Return the transaction's writes that append *entry* after *head*; refused if *head* is not the last."""
        empty = head == EMPTY
        move = self._table.update_entry(
            _HEAD,
            "SET seq = :seq, #hash = :hash, #at = :at",
            when="attribute_not_exists(pk)" if empty else "seq = :before AND #hash = :sealed",
            values={":seq": entry.seq, ":hash": entry.hash, ":at": entry.at}
            | ({} if empty else {":before": head.seq, ":sealed": head.hash}),
            names={"#hash": "hash", "#at": "at"},
        )
        item = {"pk": _key(entry.seq), **entry.model_dump()}
        return [move, self._table.put_entry(item, when="attribute_not_exists(pk)")]

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Return the entries at the *limit* positions after *after*, in order.

        Missing entries are left out; unreadable entries are logged and left out.
        """
        keys = [_key(seq) for seq in range(after + 1, after + limit + 1)]
        found = {item["pk"]: item for item in self._table.batch_get(keys)}
        return list(_readable(found[key] for key in keys if key in found))


def _key(seq: int) -> str:
    return f"entry#{seq}"


def _readable(items: Iterable[Item]) -> Iterator[Entry]:
    for item in items:
        try:
            yield Entry.model_validate({name: value for name, value in item.items() if name != "pk"})
        except ValidationError as error:
            logs.failed("entry_not_read", error)
