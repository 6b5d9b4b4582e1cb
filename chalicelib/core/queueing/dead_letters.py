"""Dead letters: messages that were given up, kept in DynamoDB with their reasons until an operator decides.

A dead letter passes through the queue's dead-letter queue in SQS, and `keeper` stores it. SQS can neither list messages
nor read one by its id, and hides a message from other readers while one reads.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

from chalicelib.core.queueing.queues import RETENTION_SECONDS
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed
from chalicelib.core.stores.sorted import SortedTable

#: The table of all dead letters: ``pk`` is the queue, ``id`` the dead letter.
TABLE = "dead-letters"
#: The attributes of a dead letter's SQS message.
REASON, ATTEMPTS, LETTER_ID = "reason", "attempts", "letterId"
#: The most dead letters that are counted.
COUNTED = 1_000
_SORT = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter of *queue*."""

    queue: str
    #: Begins with the time, so the order of ids is the order of dead-lettering. Copies of a dead letter share the id.
    id: str
    body: str
    reason: str
    #: How often the work was attempted, or None if SQS itself dead-lettered the message.
    attempts: int | None

    @property
    def dead_at(self) -> datetime:
        """When the message was dead-lettered; when the message was sent, if SQS itself dead-lettered the message."""
        return datetime.fromtimestamp(int(self.id.partition("-")[0]) / 1000, UTC)

    @property
    def caused_by(self) -> str:
        """The id of the request that caused the message, or "" if the body does not name the id."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return ""
        return str(found.get("causedBy", "")) if isinstance(found, dict) else ""


def id_of(at_ms: int, rest: str) -> str:
    """Return the id of a dead letter of the time *at_ms*; *rest* tells it from others of the same time."""
    return f"{at_ms:013d}-{rest}"


class DeadLetters:
    """The stored dead letters. A dead letter is kept for as long as SQS keeps a message, and is gone for readers then.

    *table* may be behind: DynamoDB removes expired items within days, so readers compare the time themselves.
    """

    def __init__(self, table: SortedTable, now: Callable[[], float] = time) -> None:
        self._table, self._now = table, now

    def store(self, letter: DeadLetter) -> None:
        """Store *letter*, unless a copy is stored. Atomic, safe to repeat."""
        item: Item = {"pk": letter.queue, "id": letter.id, "body": letter.body, "reason": letter.reason}
        if letter.attempts is not None:
            item["attempts"] = letter.attempts
        expires_at = int(letter.dead_at.timestamp()) + RETENTION_SECONDS
        try:
            self._table.put({**item, "ttl": expires_at}, when="attribute_not_exists(pk)")
        except ConditionFailed:
            return

    def page(self, queue: str, limit: int, after: str | None = None) -> list[DeadLetter]:
        """Return up to *limit* dead letters of *queue* with ids beyond *after*, the oldest first."""
        return list(self.read(queue, limit, after))

    def read(self, queue: str, limit: int, after: str | None = None) -> Iterator[DeadLetter]:
        """Yield what `page` returns. Reads on only as far as it is asked, a megabyte at a time."""
        position, more = max(after or "", self._oldest_id()), True
        while more and limit > 0:
            items, more = self._table.oldest(queue, _SORT, after=position, limit=limit)
            for item in items:
                position = item["id"]
                yield _letter(item)
            limit -= len(items)

    def each(self, queue: str, page_size: int = 100) -> Iterator[DeadLetter]:
        """Yield the dead letters of *queue* that were there at the call, the oldest first."""
        until, after = id_of(int(self._now() * 1000), "~"), ""
        while page := self.page(queue, page_size, after):
            for letter in page:
                if letter.id > until:
                    return
                yield letter
            after = page[-1].id

    def named(self, queue: str, ids: Sequence[str]) -> list[DeadLetter]:
        """Return the dead letters of *queue* among *ids*, the oldest first."""
        oldest = self._oldest_id()
        items = self._table.batch_get_keys([{"pk": queue, "id": letter_id} for letter_id in dict.fromkeys(ids)])
        return sorted((_letter(item) for item in items if item["id"] > oldest), key=lambda letter: letter.id)

    def remove(self, letters: Sequence[DeadLetter]) -> None:
        """Delete *letters*. Safe to repeat."""
        self._table.batch_write([], [{"pk": letter.queue, "id": letter.id} for letter in letters])

    def count(self, queue: str) -> int:
        """Return the number of dead letters of *queue*, at most `COUNTED`."""
        return self._table.count(queue, _SORT, after=self._oldest_id(), most=COUNTED)

    def _oldest_id(self) -> str:
        """Return the id before which every dead letter has expired."""
        return id_of(max(0, int((self._now() - RETENTION_SECONDS) * 1000)), "")


def _letter(item: Item) -> DeadLetter:
    return DeadLetter(
        queue=item["pk"],
        id=item["id"],
        body=item["body"],
        reason=item["reason"],
        attempts=item.get("attempts"),
    )
