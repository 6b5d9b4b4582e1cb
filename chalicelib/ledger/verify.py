"""Verifies the chain in bounded calls: the caller repeats with the cursor until no cursor is returned."""

import json

from chalicelib.core.web.paging import Cursors
from chalicelib.ledger.models import EMPTY, Head, Verified
from chalicelib.ledger.store import LedgerStore

#: Entries verified per call: about ten reads.
_ENTRIES_PER_CALL = 1_000
_LIST = {"list": "ledger verification"}


def verify(store: LedgerStore, cursors: Cursors, cursor: str | None) -> Verified:
    """Verify the next entries, from *cursor* or from the first entry. Entries appended between calls are included.

    Raises:
        Invalid: the cursor was altered.
    """
    position = Head(*json.loads(cursors.open(_LIST, cursor))) if cursor else EMPTY
    head = store.head()
    wanted = min(_ENTRIES_PER_CALL, head.seq - position.seq)
    for entry in store.entries(position.seq, wanted) if wanted > 0 else ():
        if not entry.follows(position):
            break
        position, wanted = entry.head, wanted - 1
    if wanted > 0:
        return _verdict(position, head, broken=position.seq + 1)
    if position.seq < head.seq:
        return _verdict(position, head, cursor=cursors.seal(_LIST, json.dumps(position)))
    # The stored head must match the last entry found.
    return _verdict(position, head, broken=None if position[:2] == head[:2] else position.seq)


def _verdict(position: Head, head: Head, *, broken: int | None = None, cursor: str | None = None) -> Verified:
    whole = position.seq if broken is None or broken > position.seq else position.seq - 1
    return Verified(
        ok=broken is None, entries=max(0, whole), head_hash=head.hash, first_broken_seq=broken, next_cursor=cursor
    )
