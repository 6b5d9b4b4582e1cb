"""The ledger: an append-only chain of entries, each sealed by a hash that covers all earlier entries.

models.py  entries and their hashes
store.py   entries in one DynamoDB table
verify.py  verifies the chain
wiring.py  makes the store, once per process
slice.py   the declaration of the slice
api.py     HTTP routes

Other slices call `posting` with a `Movement`, and import nothing else from here.
"""

from chalicelib.core.runtime import clock
from chalicelib.core.stores.dynamodb import Write
from chalicelib.ledger import wiring
from chalicelib.ledger.models import Movement, entry

__all__ = ["Movement", "posting"]


def posting(movement: Movement) -> list[Write]:
    """Return the transaction's writes that append *movement* after the current last entry. One read.

    The transaction is refused if the ledger has grown meanwhile; call `posting` again then.
    """
    store = wiring.store()
    head = store.head()
    return store.appending(head, entry(head, movement, clock.stamp()))
