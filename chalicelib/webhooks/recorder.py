"""Records deliveries in MongoDB: numbers those of a whole batch of events, and inserts them, in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo
from pymongo import UpdateOne

from chalicelib.core.runtime import hops
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.happenings import Happening, body_of, delivery_id, digest_of
from chalicelib.webhooks.models import Reason, Status, Trigger

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

#: A delivery outlives the time in which it may be due, so that its end can be read.
_SHOWN_AFTER = timedelta(days=1)
#: The longest time of one transaction, its repeats included.
_TRANSACTION_SECONDS = 5
#: The most deliveries of a transaction, and their bodies. Of longer ones that meet, some would miss the deadline.
_PART, _PART_CHARACTERS = 60, 1_000_000


class Wanted(NamedTuple):
    """The happenings that a webhook wants. With *ended* their deliveries are recorded as dead."""

    webhook_id: str
    happenings: tuple[Happening, ...]
    ended: Reason | None = None

    def by_id(self) -> dict[str, Happening]:
        """Return the happenings by the ids of their deliveries, each once."""
        return {delivery_id(each.event_id, self.webhook_id): each for each in self.happenings}


class Recorder:
    """Makes deliveries, and keeps the head of each webhook: its last sequence."""

    def __init__(self, database: "Database[dict[str, Any]]", kept: timedelta) -> None:
        """Deliveries may be due for the time *kept*."""
        self._client, self._kept = database.client, kept
        self._deliveries, self._heads = database.deliveries, database.webhook_heads

    def record(self, wanted: Sequence[Wanted]) -> dict[str, int]:
        """Make a delivery of each wanted happening that has none yet, in order; return by webhook how many were made.

        One transaction numbers and inserts the deliveries of a webhook, and of others as far as their size allows:
        sequences have no gaps, however often a happening comes.

        Raises:
            Unavailable: MongoDB is down; the deliveries of some webhooks may have been made.
        """
        made: dict[str, int] = {}
        for part in _parts(wanted):
            insert = partial(self._insert, part)
            with reaching_mongodb(), pymongo.timeout(_TRANSACTION_SECONDS), self._client.start_session() as session:
                made |= session.with_transaction(insert)
        return made

    def _insert(self, wanted: Sequence[Wanted], session: "ClientSession") -> dict[str, int]:
        query = {"_id": {"$in": [id_ for each in wanted for id_ in each.by_id()]}}
        known = {found["_id"] for found in self._deliveries.find(query, {"_id": 1}, session=session)}
        new = {each: [made for id_, made in each.by_id().items() if id_ not in known] for each in wanted}
        heads = self._advance({each.webhook_id: len(made) for each, made in new.items() if made}, session)
        documents = []
        for each, made in new.items():
            if made:
                head, now = heads[each.webhook_id]
                places = enumerate(made, start=head - len(made) + 1)
                documents += [
                    document_of(each.webhook_id, happening, place, now=now, kept=self._kept, ended=each.ended)
                    for place, happening in places
                ]
        if documents:
            self._deliveries.insert_many(documents, session=session)
        return {each.webhook_id: len(made) for each, made in new.items()}

    def _advance(self, numbers: Mapping[str, int], session: "ClientSession") -> dict[str, tuple[int, datetime]]:
        """Raise the head of each webhook by its number; return each head and the server's time."""
        if not numbers:
            return {}
        raises = [
            UpdateOne(
                {"_id": webhook_id},
                [{"$set": {"head": {"$add": [{"$ifNull": ["$head", 0]}, number]}, "at": "$$NOW"}}],
                upsert=True,
            )
            for webhook_id, number in numbers.items()
        ]
        self._heads.bulk_write(raises, session=session)
        found = self._heads.find({"_id": {"$in": list(numbers)}}, {"head": 1, "at": 1}, session=session)
        return {each["_id"]: (each["head"], each["at"]) for each in found}


def _parts(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Yield *wanted* in parts of a bounded size, for a transaction each. A webhook's happenings stay together."""
    part: list[Wanted] = []
    number = characters = 0
    for each in wanted:
        number += len(each.happenings)
        characters += sum(len(happening.data) for happening in each.happenings)
        if part and (number > _PART or characters > _PART_CHARACTERS):
            yield part
            part, number = [], len(each.happenings)
            characters = sum(len(happening.data) for happening in each.happenings)
        part.append(each)
    if part:
        yield part


def document_of(
    webhook_id: str,
    happening: Happening,
    sequence: int | None,
    *,
    now: datetime,
    kept: timedelta,
    ended: Reason | None = None,
) -> dict[str, Any]:
    """Return the document of a new delivery: due at *now*, or with *ended* dead. It may be due for the time *kept*."""
    id_ = delivery_id(happening.event_id, webhook_id)
    if happening.hops + 1 > hops.MOST:
        ended = Reason.LOOP
    body = body_of(happening, id_, sequence)
    document: dict[str, Any] = {
        "_id": id_,
        "webhook": webhook_id,
        "eventId": happening.event_id,
        "type": happening.type,
        "sequence": sequence,
        "body": body,
        "digest": digest_of(body),
        "hops": happening.hops + 1,
        "causedBy": happening.caused_by,
        "status": Status.DUE.value,
        "createdAt": now,
        "expiresAt": now + kept,
        "purgeAt": now + kept + _SHOWN_AFTER,
        "tries": 0,
        "trigger": Trigger.SCHEDULE.value,
        "attempts": [],
    }
    if ended is None:
        return document | {"due": now}
    return document | {"status": Status.DEAD.value, "reason": ended.value, "finishedAt": now}
