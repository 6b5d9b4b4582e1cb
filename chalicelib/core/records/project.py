"""The projector: applies states of records to view, subscribers and history.

For each batch the view comes first, then the events, history last. So a version in history was published. Every step
may be repeated, in any order, so an interrupted batch is done again. A state that cannot be projected goes to the
``repair`` queue and delays no other state. A store that is down holds up the stream, which keeps its order.

An annotation is no version. The projector recognises an annotation by the two images of the stream (same version, other
revision) and applies it to the view alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.queues import Message
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records import events
from chalicelib.core.records.codec import record_of
from chalicelib.core.records.events import Subscription
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Record, event_id
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.records.view import Failed, View
from chalicelib.core.runtime import logs
from chalicelib.core.stores.attributes import from_attributes


class Repair(Message):
    """A state that could not be projected. *cause* distinguishes requests for repair of the same version.

    *record_version* is 0 where no version is at fault: the image was not readable, or the state is an annotation.
    """

    kind: str
    id: str
    record_version: int
    cause: str = "stream"

    @property
    def work_id(self) -> str:
        """The version, and the cause of the repair."""
        return f"{event_id(self.kind, self.id, self.record_version)}/{self.cause}"


@dataclass(frozen=True, slots=True)
class Projector:
    """Projects states of records to the view, the subscribers' queues and history."""

    view: View
    history: History
    subscriptions: Sequence[Subscription]
    sender: Sender

    def project(self, changes: Iterable[dict[str, Any]]) -> int:
        """Project a batch of the stream; return how many states went to ``repair`` instead.

        Removals are skipped: this service deletes by tombstone, so only TTL or an operator removes items.

        Raises:
            Unavailable: a store is down; the batch must be delivered again.
        """
        records: list[Record] = []
        annotated: list[Record] = []
        poison: list[Repair] = []
        for change in changes:
            if change["eventName"] != "REMOVE":
                _read_image(change["dynamodb"], annotated if _annotates(change["dynamodb"]) else records, poison)
        failed = self.project_records(records, annotated)
        poison += [_repair(fault.record, annotated=fault.record in annotated) for fault in failed]
        self.sender.send_all(REPAIR, poison)
        return len(poison)

    def project_records(self, records: Sequence[Record], annotated: Sequence[Record] = ()) -> list[Failed]:
        """Project *records*, each a new version, and *annotated*, states that differ from a version by annotations.

        Annotations reach the view alone: no event is published and no history written, as an annotation is no version.
        Returns the states that cannot be projected.

        Raises:
            Unavailable: a store is down; some states may have been projected.
        """
        unapplied = self.view.apply(self.view.stale([*records, *annotated]))
        unpublished = _by_version(
            self._attempt(records, lambda batch: events.publish(batch, self.subscriptions, self.sender))
        )
        # A version found in history is never published again, so publish first and write history last.
        published = [record for record in records if _version(record) not in unpublished]
        failed = [*unapplied, *unpublished.values(), *self._attempt(published, self.history.add)]
        for fault in failed:
            logs.failed("record_not_projected", fault.error)
        return list(_by_version(failed).values())

    def _attempt(self, records: Sequence[Record], step: Callable[[Sequence[Record]], None]) -> list[Failed]:
        """Do *step* for all records at once; after a failure, for each record alone. Return the failures."""
        try:
            step(records)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 # one record's fault must not keep the others back
            if len(records) == 1:
                return [Failed(records[0], error)]
            return [fault for record in records for fault in self._attempt([record], step)]
        return []


def _annotates(change: Mapping[str, Any]) -> bool:
    """Return whether the write was an annotation: the version stayed, and the revision did not."""
    new, old = change.get("NewImage", {}), change.get("OldImage", {})
    return bool(old) and new.get("version") == old.get("version") and new.get("revision") != old.get("revision")


def _read_image(change: dict[str, Any], records: list[Record], poison: list[Repair]) -> None:
    """Add the new image of *change* to *records*, or a repair to *poison* if the image cannot be read."""
    image = change.get("NewImage", {})
    try:
        records.append(record_of(from_attributes(image)))
    except Exception as error:  # noqa: BLE001 # one item's fault must not keep the others back
        logs.failed("record_not_read", error)
        kind, _, record_id = change["Keys"]["pk"]["S"].partition("#")
        version, revision = (_number(image.get(name, {})) for name in ("version", "revision"))
        version = 0 if _annotates(change) else version
        poison.append(Repair(kind=kind, id=record_id, record_version=version, cause=_cause(revision)))


def _number(attribute: Mapping[str, Any]) -> int:
    """Return the whole number in *attribute*, else 0: an unreadable image may hold anything."""
    text = attribute.get("N", "")
    return int(text) if text.isdecimal() else 0


def _version(record: Record) -> tuple[str, str, int]:
    return record.kind, record.id, record.version


def _by_version(failed: Iterable[Failed]) -> dict[tuple[str, str, int], Failed]:
    return {_version(fault.record): fault for fault in failed}


def _repair(record: Record, *, annotated: bool) -> Repair:
    return Repair(
        caused_by=record.operation,
        kind=record.kind,
        id=record.id,
        record_version=0 if annotated else record.version,
        cause=_cause(record.revision),
    )


def _cause(revision: int) -> str:
    # A claim of one repair must not answer for the next annotation of the same version.
    return f"revision {revision}" if revision else "stream"
