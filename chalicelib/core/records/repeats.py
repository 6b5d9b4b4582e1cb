"""Explains a refused write of a record: the repeat of an operation that wrote the record before, or an error."""

from chalicelib.core.records.codec import record_of
from chalicelib.core.records.errors import NotInThisState, RecordExists, RecordNotFound, VersionConflict
from chalicelib.core.records.models import Expected, expects
from chalicelib.core.stores.attributes import Item


def created_before(item: Item, operation: str) -> Item | None:
    """Return *item* if *operation* created it before, or None for a tombstone, which leaves the id free.

    Raises:
        RecordExists: another operation created the record, or this one did and the record was deleted since.
    """
    again, deleted = item["made"] == operation, bool(item.get("deleted"))
    # Others may have edited the record since this operation created the record; a repeat must not create again.
    if again != deleted:
        return item if again else None
    raise RecordExists(record_of(item))


def written_before(item: Item | None, expected: Expected, operation: str) -> Item:
    """Return *item* if *operation* wrote it before; else raise the reason for the refusal.

    Raises:
        RecordNotFound, VersionConflict, NotInThisState: as `Records.commit`.
    """
    if item is None:
        raise RecordNotFound
    if item["operation"] == operation:
        return item
    if item.get("deleted"):
        raise RecordNotFound
    current = record_of(item)
    raise NotInThisState(current) if expects(expected, current.version) else VersionConflict(current)
