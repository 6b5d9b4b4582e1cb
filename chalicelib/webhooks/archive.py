"""The archive: reads deliveries for people, and sends some again because people ask for it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pymongo.collection import ReturnDocument

from chalicelib.core.errors import Conflict
from chalicelib.core.stores import newest
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.errors import CountChanged, DeliveryInFlight, DeliveryNotDue, DeliveryNotFound
from chalicelib.webhooks.models import Status, Trigger
from chalicelib.webhooks.shown import LISTED, Recover, Recovered

if TYPE_CHECKING:
    from pymongo.database import Database

#: How many deliveries one step of a recovery or of a job changes.
STEP = 500
#: Whether a caller may read: MongoDB removes documents late.
KEPT = {"$gt": ["$purgeAt", "$$NOW"]}


class Archive:
    """All deliveries, for people."""

    def __init__(self, database: "Database[dict[str, Any]]") -> None:
        self._deliveries = database.deliveries

    def page(self, wanted: dict[str, Any], limit: int, after: str | None) -> Iterator[dict[str, Any]]:
        """Yield up to *limit* deliveries older than the position *after*, newest first by the server's clock."""
        query = {**wanted, "$expr": KEPT, **(newest.older_than(after) if after else {})}
        with (
            reaching_mongodb(),
            self._deliveries.find(query, LISTED, sort=newest.newest_first(), limit=limit) as found,
        ):
            yield from found

    def get(self, delivery_id: str) -> dict[str, Any]:
        """Return the whole delivery.

        Raises:
            DeliveryNotFound: there is no such delivery, or it is no longer kept.
        """
        with reaching_mongodb():
            found = self._deliveries.find_one({"_id": delivery_id, "$expr": KEPT})
        if found is None:
            raise DeliveryNotFound
        return found

    def replay(self, webhook_id: str, delivery_id: str, operation: str) -> dict[str, Any]:
        """Make the delivery due once more now; its schedule stays. Safe to repeat under the same *operation*.

        Raises:
            DeliveryNotFound: the webhook has no such delivery.
            DeliveryInFlight: a call is being made just now.
        """
        change = {**once_more(), "replay": {"$literal": operation}}
        free = {"status": {"$ne": Status.IN_FLIGHT.value}, "replay": {"$ne": operation}}
        return self._change(webhook_id, delivery_id, free, change, DeliveryInFlight)

    def retry_now(self, webhook_id: str, delivery_id: str, operation: str) -> dict[str, Any]:
        """Make the next attempt of the schedule due now. Safe to repeat under the same *operation*.

        Raises:
            DeliveryNotFound: the webhook has no such delivery.
            DeliveryNotDue: no attempt follows.
        """
        change = {"due": "$$NOW", "trigger": Trigger.MANUAL.value, "replay": {"$literal": operation}}
        free = {"status": Status.DUE.value, "replay": {"$ne": operation}}
        return self._change(webhook_id, delivery_id, free, change, DeliveryNotDue)

    def recover(self, webhook_id: str, asked: Recover, operation: str, time_left: Callable[[], bool]) -> Recovered:
        """Begin the schedule of dead deliveries anew, in order of sequence; or only count them.

        Safe to repeat under the same *operation*, which continues where the time was too short.

        Raises:
            CountChanged: another number of deliveries than expected would be sent.
        """
        made: dict[str, Any] = {"$gte": asked.since} | ({"$lt": asked.until} if asked.until else {})
        lane = {"webhook": webhook_id, "createdAt": made}
        dead, ours = {**lane, "status": Status.DEAD.value}, {**lane, "recovery": operation}
        with reaching_mongodb():
            begun = 0 if asked.dry_run else self._deliveries.count_documents(ours)
            left = self._deliveries.count_documents({**dead, "recovery": {"$ne": operation}})
            delivered = self._deliveries.count_documents({**lane, "status": Status.DELIVERED.value})
        if asked.expected_count not in {None, begun + left}:
            raise CountChanged
        if asked.dry_run:
            return Recovered(count=left, delivered=delivered, more=False)
        while left and time_left():
            with reaching_mongodb():
                rest = self._deliveries.find({**dead, "recovery": {"$ne": operation}}, {"_id": 1})
                ids = [found["_id"] for found in rest.sort("sequence").limit(STEP)]
                chosen = {"_id": {"$in": ids}, "status": Status.DEAD.value}
                self._deliveries.update_many(chosen, [{"$set": _anew(operation)}])
            begun, left = begun + len(ids), left - len(ids) if ids else 0
        return Recovered(count=begun, delivered=delivered, more=left > 0)

    def _change(
        self,
        webhook_id: str,
        delivery_id: str,
        free: dict[str, Any],
        change: dict[str, Any],
        refusal: type[Conflict],
    ) -> dict[str, Any]:
        """Apply *change* if *free* holds. A repeat of the operation in *free* finds its work done.

        Raises:
            DeliveryNotFound: the webhook has no such delivery.
            Conflict: *free* does not hold; the error is a *refusal*.
        """
        query = {"_id": delivery_id, "webhook": webhook_id, "$expr": KEPT}
        with reaching_mongodb():
            found = self._deliveries.find_one_and_update(
                {**query, **free}, [{"$set": change}], return_document=ReturnDocument.AFTER
            )
            # Explains a refused update; decides nothing.
            found = found or self._deliveries.find_one({**query, "replay": free["replay"]["$ne"]})
            if found is not None:
                return found
            if self._deliveries.find_one(query, {"_id": 1}) is None:
                raise DeliveryNotFound
        raise refusal


def once_more() -> dict[str, Any]:
    """Return the fields of a delivery that is sent once more, and returns to its state if that fails."""
    resume = {"status": "$status", "reason": "$reason", "due": "$due"}
    return {
        # A second replay before the first was sent keeps the state before the first.
        "resume": {"$ifNull": ["$resume", resume]},
        "status": Status.DUE.value,
        "due": "$$NOW",
        "trigger": Trigger.MANUAL.value,
    }


def _anew(operation: str) -> dict[str, Any]:
    """Return the fields of a delivery whose schedule begins anew."""
    return {
        "status": Status.DUE.value,
        "due": "$$NOW",
        "tries": 0,
        "trigger": Trigger.RECOVER.value,
        "recovery": {"$literal": operation},
        "reason": "$$REMOVE",
        "finishedAt": "$$REMOVE",
        "resume": "$$REMOVE",
    }
