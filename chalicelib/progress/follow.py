"""Follows jobs by streams of events: ``GET …/events`` of one job, and ``GET /api/events`` of many topics.

The id of an event is the revision that it shows; with many topics, the revision of each. A client that has the newest
state is held until there is another one, if there is a place; the answer then holds that state and ends.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from chalicelib import sessions
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.errors import Unauthenticated
from chalicelib.core.runtime import deadline, ids
from chalicelib.core.web import Answer, Caller, streams
from chalicelib.progress import wiring
from chalicelib.progress.models import Snapshot

Read = TypeVar("Read")

#: Part of the function's time reserved for answering, and for a store that is slow to fail.
_MARGIN_MS = 4_000
_REPLACED = "The job that you followed is gone, and another one has its session id."


@dataclass(frozen=True)
class Followed(Generic[Read]):
    """Something followed: how it is read, when a reading is news to the client, and the events that show it."""

    #: Waiting calls with the same key share readings.
    key: Hashable
    read: Callable[[], Read]
    changed: Callable[[Read], bool]
    events: Callable[[Read], str]


def one(caller: Caller, session_id: str, last_event_id: str | None) -> Answer:
    """Return the events of one job for a client that has got *last_event_id*.

    Raises:
        NotYours, ProgressNotFound: the caller may not follow the job, or there is no such job.
    """

    def read() -> Snapshot:
        return wiring.store().get(session_id)

    seen, known = read(), revision_of(last_event_id)
    caller.require_self_or_admin(seen.owner.account_id)
    if known is not None and known > seen.revision:
        return streams.ended("replaced", _REPLACED)
    if known == seen.revision and seen.completed:
        return streams.OVER
    if known != seen.revision:
        return streams.answer(progress_event(seen), retry_ms=wiring.options().stream_retry_ms)
    followed = Followed(("progress", session_id), read, lambda found: found.revision != known, progress_event)
    return held(caller, followed, seen)


def held(caller: Caller, followed: Followed[Read], seen: Read) -> Answer:
    """Return the events of the next reading that is news; without a place those of *seen*, with a longer pause.

    Raises:
        Unauthenticated: the session ended meanwhile.
    """
    options = wiring.options()
    wait_ms = deadline.clamp_ms(options.stream_hold_ms, margin_ms=_MARGIN_MS)
    with coordination.places().place(caller.account_id, wait_ms, ids.new_id()) as free:
        if not free:
            return streams.answer(followed.events(seen), retry_ms=streams.LONGER_RETRY_MS)
        found: Read = wiring.waiter().wait(followed.key, followed.read, followed.changed, seen, wait_ms)
    if not sessions.valid([caller])[0]:
        raise Unauthenticated("The session has ended.")
    return streams.answer(followed.events(found) if followed.changed(found) else "", retry_ms=options.stream_retry_ms)


def progress_event(snapshot: Snapshot) -> str:
    """Return the event of *snapshot*; its id is the revision."""
    return streams.event("message", str(snapshot.revision), snapshot.model_dump(mode="json"))


def revision_of(last_event_id: str | None) -> int | None:
    """Return the revision that *last_event_id* names; None for anything else."""
    return int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else None
