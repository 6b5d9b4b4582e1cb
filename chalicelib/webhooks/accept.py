"""Accepts events: matches them with webhooks, makes deliveries, and wakes the lanes.

Safe to repeat: an event and a webhook have one delivery. The webhooks are read once for all events of a batch, and
never kept: a webhook that shows in the list gets every event that is accepted after.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later
from chalicelib.core.queueing.lanes import share
from chalicelib.core.queueing.sender import Parcel, Sender
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Kind, Record
from chalicelib.core.runtime import logs
from chalicelib.webhooks.deliveries import Deliveries
from chalicelib.webhooks.happenings import Happening, of_document, of_version
from chalicelib.webhooks.models import Reason, wants
from chalicelib.webhooks.queues import News, queue_of
from chalicelib.webhooks.recorder import Wanted
from chalicelib.webhooks.store import WebhookStore

if TYPE_CHECKING:
    from chalicelib.core.queueing.queues import Queue

#: History is written right after the event.
_HISTORY_SECONDS = 1
#: For so long after a commit, history may lack the version before, too: a write of many entries has no order.
_UNORDERED = timedelta(minutes=1)
#: A store of ours that is down is asked again after so long.
_STORE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Acceptor:
    """What accepting needs. An instance serves one batch."""

    webhooks: WebhookStore
    deliveries: Deliveries
    history: History
    kinds: Mapping[str, Kind]
    sender: Sender
    #: The work ids of the events accepted so far.
    accepted: set[str] = field(default_factory=set)

    def accept_all(self, batch: Sequence[News]) -> None:
        """Accept the events of *batch* together; those without an entry in history yet are left to `accept`.

        Raises:
            Unavailable: a store is down; some deliveries may have been made.
        """
        known = [(news, happenings) for news, happenings in self._read(batch) if happenings is not None]
        self._deliver([each for _, happenings in known for each in happenings])
        self.accepted.update(news.work_id for news, _ in known)

    def accept(self, news: News, _claim: Claim) -> None:
        """Accept one event, unless its batch was accepted together.

        Raises:
            Later: history has no entry of the version yet, or a store is down. Uses up no attempt.
        """
        if news.work_id in self.accepted:
            return
        try:
            ((_, happenings),) = self._read([news])
            if happenings is None:
                raise Later("History has no entry of this version yet.", _HISTORY_SECONDS, counted=False)
            self._deliver(happenings)
        except Unavailable as error:
            raise Later(str(error), _STORE_SECONDS, counted=False) from error

    def _read(self, batch: Sequence[News]) -> Iterable[tuple[News, list[Happening] | None]]:
        """Yield each event with its happenings; None if history has no entry of the version, or the one before, yet."""
        records = [each for each in batch if not each.name and self._public(each.kind)]
        wanted = {
            (each.kind, each.id, version)
            for each in records
            for version in (each.record_version, each.record_version - 1)
            if version > 0
        }
        found = self.history.read(sorted(wanted)) if wanted else {}
        for news in batch:
            if news.name:
                yield news, [of_document(news)]
            elif not self._public(news.kind):
                yield news, []
            elif version := found.get((news.kind, news.id, news.record_version)):
                before = found.get((news.kind, news.id, news.record_version - 1))
                waits = before is None and news.record_version > 1 and _is_new(news)
                yield news, None if waits else list(of_version(news, self.kinds[news.kind], version, before))
            else:
                yield news, None

    def _public(self, kind: str) -> bool:
        return kind in self.kinds and self.kinds[kind].text is not None

    def _deliver(self, happenings: Sequence[Happening]) -> None:
        if not happenings:
            return
        ordered = sorted(happenings, key=lambda each: each.at)
        webhooks = self.webhooks.every()
        wanted = [_wanted(webhook, ordered) for webhook in webhooks]
        made = self.deliveries.recorder.record([each for each in wanted if each.happenings])
        logs.line().count("deliveriesMade", sum(made.values()))
        self._wake([each for each in webhooks if each.id in made], made)

    def _wake(self, webhooks: Sequence[Record], made: Mapping[str, int]) -> None:
        """Wake as many workers as each lane may have; at least one, as an earlier attempt may have died before."""
        parcels: dict[Queue, list[Parcel]] = {}
        for webhook in webhooks:
            if webhook.doc["enabled"] and not webhook.doc["paused"]:
                queue = queue_of(webhook.doc["priority"])
                number = max(1, min(made[webhook.id], webhook.doc["maxInFlight"], share(queue.concurrency)))
                wake = Parcel(Wake(owner=webhook.id, lane=webhook.id), group=webhook.id)
                parcels.setdefault(queue, []).extend([wake] * number)
        for queue, wakes in parcels.items():
            self.sender.send_all(queue, wakes)


def _wanted(webhook: Record, happenings: Sequence[Happening]) -> Wanted:
    own = tuple(each for each in happenings if wants(webhook.doc["events"], each.type))
    return Wanted(webhook.id, own, None if webhook.doc["enabled"] else Reason.DISABLED)


def _is_new(news: News) -> bool:
    return bool(news.at) and datetime.now(UTC) - datetime.fromisoformat(news.at) < _UNORDERED
