"""The walk along the chain, bounded: whoever verifies calls again with the cursor until there is none."""

import json

from chalicelib.core.web.paging import Cursors
from chalicelib.ledger.models import EMPTY, Head, Verified
from chalicelib.ledger.store import LedgerStore

#: Entries that one call looks at: some ten reads.
_AT_ONCE = 1_000
_LIST = {"list": "ledger verification"}


def verify(store: LedgerStore, cursors: Cursors, cursor: str | None) -> Verified:
    """Look at the next entries, from the first or from where *cursor* says. Entries that come meanwhile are seen too.

    Raises:
        Invalid: the cursor was altered.
    """
    place = Head(*json.loads(cursors.open(_LIST, cursor))) if cursor else EMPTY
    head = store.head()
    wanted = min(_AT_ONCE, head.seq - place.seq)
    for entry in store.entries(place.seq, wanted) if wanted > 0 else ():
        if not entry.follows(place):
            break
        place, wanted = Head(entry.seq, entry.hash), wanted - 1
    if wanted > 0:
        return _verdict(place, head, broken=place.seq + 1)
    if place.seq < head.seq:
        return _verdict(place, head, cursor=cursors.seal(_LIST, json.dumps(place)))
    # The head says where the chain ends, and must be the seal of what was found there.
    return _verdict(place, head, broken=None if place == head else place.seq)


def _verdict(place: Head, head: Head, *, broken: int | None = None, cursor: str | None = None) -> Verified:
    whole = place.seq if broken is None or broken > place.seq else place.seq - 1
    return Verified(
        ok=broken is None, entries=max(0, whole), head_hash=head.hash, first_broken_seq=broken, next_cursor=cursor
    )
