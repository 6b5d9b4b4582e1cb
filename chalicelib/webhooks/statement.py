"""The statement of a webhook: which deliveries were made for the webhook, by sequence, read from one index alone."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.happenings import digest_of

if TYPE_CHECKING:
    from pymongo.database import Database

#: The name of the index.
NAME = "statement"
_SHOWN = ("sequence", "digest", "type", "createdAt")
#: Holds all that a statement shows. Each field is written once, so no attempt of a delivery writes the index.
INDEX = IndexModel([(name, ASCENDING) for name in ("webhook", *_SHOWN, "purgeAt", "_id")], name=NAME)
#: The clock of this process only narrows a query; the server's clock decides.
_CLOCK_SKEW = timedelta(minutes=1)


class Statement:
    """The deliveries of all webhooks, as their statements show them."""

    def __init__(self, database: "Database[dict[str, Any]]") -> None:
        self._deliveries = database.deliveries

    def page(self, webhook_id: str, first: int, limit: int) -> Iterator[dict[str, Any]]:
        """Yield the numbered deliveries of the webhook from the sequence *first* on, in order; read *limit* at once.

        A delivery that is no longer kept does not show. Deliveries become visible in the order of their sequence, so
        the statement never has a gap that a later call fills.
        """
        while True:
            rows = self._read(webhook_id, first, limit)
            digests = self._digests([row["_id"] for row in rows if row["digest"] is None])
            for row in rows:
                # MongoDB removes documents late.
                if row["kept"]:
                    yield row | {"digest": row["digest"] or digests.get(row["_id"], "")}
            if len(rows) < limit:
                return
            first = rows[-1]["sequence"] + 1

    def _read(self, webhook_id: str, first: int, limit: int) -> list[dict[str, Any]]:
        query = {
            "webhook": webhook_id,
            "sequence": {"$gte": first},
            "purgeAt": {"$gt": datetime.now(UTC) - _CLOCK_SKEW},
        }
        shown = {**dict.fromkeys(("_id", *_SHOWN), 1), "kept": {"$gt": ["$purgeAt", "$$NOW"]}}
        with reaching_mongodb():
            return list(self._deliveries.find(query, shown, sort=[("sequence", ASCENDING)], limit=limit, hint=NAME))

    def _digests(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the digests of deliveries that earlier releases made without one."""
        if not ids:
            return {}
        with reaching_mongodb():
            found = self._deliveries.find({"_id": {"$in": ids}}, {"body": 1})
            return {each["_id"]: digest_of(each["body"]) for each in found}
