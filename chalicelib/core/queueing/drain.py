"""Drains lanes: a worker woken for a lane takes a slot, does the lane's due entries in turn, and wakes what is next.

A worker without a slot drops its message. No work is lost: whoever holds the slots looks for the owner's next entry
after giving a slot back, and the sweep wakes lanes again whose worker died. A worker serves one lane for some seconds,
then others of the same owner have their turn.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.coordination.errors import StillRunning
from chalicelib.core.egress.errors import EgressError
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import delivery, wiring
from chalicelib.core.queueing.attempts import BACKOFF, Later, Outcome, Piece, Poison, Retry, attempt
from chalicelib.core.queueing.delivery import Record
from chalicelib.core.queueing.lanes import Item, Lanes
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.slots import Lane, Slot, Slots
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.runtime import deadline, logs

#: Does the effect of an item once. Raises `Poison` or `Later`, as `attempts.attempt` says.
Handle = Callable[[Item, Claim], None]

#: How long one worker serves a lane before the owner's other lanes have their turn.
_TURN_SECONDS = 10
#: Time for the stores, besides the call itself.
_MARGIN_MS = 3_000
#: The pause before an entry whose work another attempt holds is looked at again.
_HELD_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Drain:
    """What a worker of lanes needs: the queue, the outbox's lanes, the owners' slots, and the longest call."""

    queue: Queue
    lanes: Lanes
    slots: Slots
    call_ms: int


def run(event: Any, drain: Drain, handle: Handle) -> dict[str, Any]:
    """Drain the lane of each message of *event*, calling *handle* with each due entry of the lane.

    *handle* is called at least once per entry, and not again after it returned or was given up, save after a crash.
    """
    return delivery.deliver(event, drain.queue, lambda record: _work(record, drain, handle))


def _work(record: Record, drain: Drain, handle: Handle) -> Outcome:
    if (wake := delivery.readable(record, drain.queue, Wake)) is None:
        return Outcome.DEAD
    lane = Lane(wake.owner, wake.lane)
    logs.line().add(requestId=wake.caused_by, lane=lane.name)
    if not _has_time(drain):
        return Outcome.LEFT
    if wake.document_id and wake.effect:
        work_id = f"{wake.document_id}.{wake.effect}"
        if not drain.lanes.revive(lane, wake.document_id, wake.effect, record.message_id):
            return attempt(delivery.piece(record, drain.queue, work_id), _gone)
    if slot := drain.slots.take(lane, _lease_ms(drain)):
        _serve(slot, drain, handle)
    else:
        logs.line().count("lanesBusy")
        closed = [each.lane for each in drain.slots.closed(lane.owner)]
        # An open lane is woken again by the workers that hold the slots.
        if lane.name in closed:
            _wake_next(drain, lane.owner, closed)
    return Outcome.DONE


def _serve(slot: Slot, drain: Drain, handle: Handle) -> None:
    """Do the lane's due entries until none is left, the turn is over or the lane closes; then wake the next lane."""
    try:
        _take_turn(slot, drain, handle)
    except BaseException:
        # The message comes again, and must find a slot; else the slot is free when its lease ends.
        with suppress(Unavailable):
            drain.slots.release(slot)
        raise
    closed = drain.slots.release(slot).closed
    _wake_next(drain, slot.lane.owner, [each.lane for each in closed])


def _take_turn(slot: Slot, drain: Drain, handle: Handle) -> None:
    until, failing = monotonic() + _TURN_SECONDS, slot.failing
    while monotonic() < until and _has_time(drain) and (item := drain.lanes.claim(slot.lane, _lease_ms(drain))):
        if _do(item, slot.lane, drain, handle):
            if failing:
                drain.slots.recover(slot.lane)
            failing = False
        else:
            failing = True
            if (opens_in_ms := drain.slots.fail(slot.lane)) is not None:
                logs.line().count("lanesClosed")
                _wake(drain, slot.lane, opens_in_ms)
                return


def _gone(_claim: Claim) -> None:
    raise Poison("The document of this entry is no longer kept.")


def _do(item: Item, lane: Lane, drain: Drain, handle: Handle) -> bool:
    """Make one attempt at *item*, with a log record of its own. Return whether the lane's host answered."""
    letter = Wake(owner=lane.owner, lane=lane.name, document_id=item.document_id, effect=item.effect)
    piece = Piece(
        queue=drain.queue,
        work_id=f"{item.document_id}.{item.effect}",
        body=letter.model_copy(update={"caused_by": item.caused_by}).model_dump_json(),
        message_id=item.sent_back or f"{item.document_id}.{item.effect}",
        sent_back=bool(item.sent_back),
    )
    with logs.invocation("item") as line:
        line.add(queue=drain.queue.name, requestId=item.caused_by, workId=piece.work_id, lane=lane.name)
        outcome, answered = _attempt(piece, item, drain, handle)
        line.add(outcome=outcome)
        line.count(f"items{outcome.metric}")
    return answered


def _attempt(piece: Piece, item: Item, drain: Drain, handle: Handle) -> tuple[Outcome, bool]:
    try:
        outcome = attempt(piece, lambda claim: _call(item, claim, handle))
    except Retry as retry:
        error = retry.__cause__ or retry
        delivery.log(error)
        drain.lanes.postpone(item, retry.after_seconds)
        return Outcome.AGAIN, not (isinstance(error, EgressError) or (isinstance(error, Later) and error.counted))
    except StillRunning:
        drain.lanes.postpone(item, _HELD_SECONDS)
        return Outcome.AGAIN, True
    drain.lanes.end(item.document_id, item.effect, dead=outcome is Outcome.DEAD)
    return outcome, True


def _call(item: Item, claim: Claim, handle: Handle) -> None:
    """Call *handle*. A store of ours that is down uses up no attempt: the host was not called.

    Raises:
        Later: as *handle*, and without an attempt if a store is down.
    """
    try:
        handle(item, claim)
    except Unavailable as error:
        if isinstance(error, EgressError):
            raise
        raise Later(str(error), BACKOFF.seconds(1) + _HELD_SECONDS, counted=False) from error


def _wake_next(drain: Drain, owner: str, closed: Sequence[str]) -> None:
    """Wake the lane of the owner's earliest entry, outside the *closed* lanes."""
    if (following := drain.lanes.next(owner, closed)) and following.lane:
        _wake(drain, Lane(owner, following.lane), max(following.due_in_ms, 0))


def _wake(drain: Drain, lane: Lane, in_ms: int) -> None:
    wake = Wake(owner=lane.owner, lane=lane.name)
    wiring.sender().send(drain.queue, wake, delay_seconds=-(-in_ms // 1000), group=lane.owner)


def _has_time(drain: Drain) -> bool:
    return deadline.allows(drain.call_ms + _MARGIN_MS)


def _lease_ms(drain: Drain) -> int:
    """Return how long this invocation may hold a slot or an entry: its remaining time, or one call."""
    return deadline.remaining_ms() or drain.call_ms + _MARGIN_MS
