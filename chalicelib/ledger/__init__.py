"""The ledger: one chain of entries that only grows, each sealed by the hash of all before it.

models.py  what an entry is, and its hash
store.py   where entries live: one DynamoDB table
verify.py  the walk along the chain
wiring.py  makes the store, once per process
slice.py   what this slice brings
api.py     HTTP routes

Other slices ask `posting`; nothing else here is theirs.
"""

from chalicelib.core.runtime import clock
from chalicelib.core.stores.dynamodb import Write
from chalicelib.ledger import wiring
from chalicelib.ledger.models import Movement, entry

__all__ = ["Movement", "posting"]


def posting(movement: Movement) -> list[Write]:
    """Return the writes that put *movement* behind what is the last entry just now, for a transaction; one read.

    The transaction is refused if the ledger has grown meanwhile: ask for another one then.
    """
    store = wiring.store()
    head = store.head()
    return store.appending(head, entry(head, movement, clock.stamp()))
