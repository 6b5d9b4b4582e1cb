"""Notes in a request where its question has arrived."""

from collections.abc import Sequence
from typing import Any

from pymongo.collection import Collection

from chalicelib.approvals import deliveries
from chalicelib.approvals.deliveries import Step
from chalicelib.approvals.transitions import KEPT
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb


class Reach:
    """Deliveries, in the documents of requests."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._approvals = collection

    def note(self, request_id: str, person: Account, device_ids: Sequence[str | None], step: Step) -> bool:
        """Note *step* of *person*'s devices; None stands for open connections. Safe to repeat: the first time stays.

        Return whether *person* may answer the request, or could have. Atomic.
        """
        query = {"_id": request_id, "accounts": person.account_id, "$expr": KEPT}
        with reaching_mongodb():
            return self._approvals.update_one(query, deliveries.noted(person, device_ids, step)).matched_count == 1
