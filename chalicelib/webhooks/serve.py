"""Serves lanes: a worker woken for a webhook takes a slot, sends the due deliveries in turn, and wakes who is next.

A worker without a slot drops its message. No delivery is lost: whoever holds the slots wakes the lane again, and the
sweep wakes lanes whose workers died. Waiting for the rate, for a breaker or for the end of a pause uses up no attempt.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

from chalicelib.core.coordination.rates import Limit, Rates, Taken
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import delivery, wiring
from chalicelib.core.queueing.attempts import Outcome
from chalicelib.core.queueing.delivery import Record
from chalicelib.core.queueing.entries import HORIZON_MS
from chalicelib.core.queueing.lanes import share
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.sender import Parcel
from chalicelib.core.queueing.slots import Lane, Limits, Slot, Slots
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.records.models import Record as Webhook
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.runtime.backoff import Backoff
from chalicelib.webhooks import secrets
from chalicelib.webhooks.attempts import Decision, Result, decide
from chalicelib.webhooks.deliveries import Claimed, Deliveries
from chalicelib.webhooks.errors import WebhookNotFound
from chalicelib.webhooks.health import Health
from chalicelib.webhooks.models import Reason, Status
from chalicelib.webhooks.queues import queue_of
from chalicelib.webhooks.send import send
from chalicelib.webhooks.settings import WebhookSettings
from chalicelib.webhooks.statistics import Counters, Tally
from chalicelib.webhooks.store import WebhookStore

#: How long one worker serves a lane before others have their turn.
_TURN_SECONDS = 10
#: Time for the stores, besides the call itself.
_MARGIN_MS = 3_000
#: A delivery is leased for its call and so long after, not for the rest of the invocation: a delivery whose worker died
#: comes again soon. The end of a call is recorded within the lease.
_RECORDING_MS = 5_000
#: The rate is asked for again after so long if DynamoDB is away.
_STORE_MS = 5_000
_MINUTE_MS = 60_000
#: The pauses before the end of a call is recorded again, while MongoDB is away.
_RECORDING = Backoff(first_seconds=0.2, longest_seconds=2)
_GONE = "The receiver answered 410 Gone."


@dataclass(frozen=True, slots=True)
class Server:
    """What a worker of lanes needs."""

    webhooks: WebhookStore
    deliveries: Deliveries
    health: Health
    statistics: Counters
    slots: Slots
    rates: Rates
    options: WebhookSettings
    call_ms: int

    def run(self, event: Any, queue: Queue) -> dict[str, Any]:
        """Serve the lane of each message of *event*. Each due delivery is tried, and again by the schedule."""
        return delivery.deliver(event, queue, lambda record: self._work(record, queue))

    def _work(self, record: Record, queue: Queue) -> Outcome:
        if (wake := delivery.readable(record, queue, Wake)) is None:
            return Outcome.DEAD
        logs.line().add(requestId=wake.caused_by, lane=wake.lane)
        if not self.has_time():
            return Outcome.LEFT
        try:
            webhook = self.webhooks.get(wake.lane)
        except WebhookNotFound:
            self.deliveries.end_all(wake.lane, Reason.DELETED)
            return Outcome.DONE
        if not webhook.doc["enabled"]:
            self.deliveries.end_all(webhook.id, Reason.DISABLED)
        elif not webhook.doc["paused"]:
            self._serve(webhook)
        return Outcome.DONE

    def _serve(self, webhook: Webhook) -> None:
        most = _places(webhook)
        lane = Lane(webhook.id, webhook.id)
        if (slot := self.slots.take(lane, self.slot_ms(), Limits(per_owner=most, per_lane=most))) is None:
            logs.line().count("lanesBusy")
            return
        turn = _Turn(self, webhook, slot)
        try:
            again_ms = turn.take()
        except BaseException:
            # The message comes again, and must find a slot; else the slot is free when its lease ends.
            with suppress(Unavailable):
                self.slots.release(slot)
            raise
        closed, others = self.slots.release(slot)
        # Of the workers whom the rate holds up, the last one wakes the lane.
        if not closed and not (again_ms and others):
            self._wake_next(webhook, again_ms)
        # Last, as nobody waits for it.
        with suppress(Unavailable):
            self.statistics.add(webhook.id, turn.tally)

    def _wake_next(self, webhook: Webhook, at_least_ms: int) -> None:
        """Wake the lane for its next delivery. What is due later than the horizon is left to the sweep."""
        due_in_ms = self.health.due_in_ms(webhook.id)
        if due_in_ms is not None and due_in_ms <= HORIZON_MS:
            self.wake(webhook, max(due_in_ms, at_least_ms, 0))

    def wake(self, webhook: Webhook, in_ms: int) -> None:
        """Wake the lane of *webhook* after *in_ms*."""
        wake = Wake(owner=webhook.id, lane=webhook.id)
        # Rounded up: a delivery may be late, and never early.
        seconds = -(-in_ms // 1000)
        wiring.sender().send(queue_of(webhook.doc["priority"]), wake, delay_seconds=seconds, group=webhook.id)

    def wake_all(self, webhook: Webhook) -> None:
        """Wake a worker for each delivery that is due, as many as may serve the lane at once, and at least one."""
        number = max(1, self.health.due(webhook.id, _places(webhook)))
        wake = Parcel(Wake(owner=webhook.id, lane=webhook.id), group=webhook.id)
        wiring.sender().send_all(queue_of(webhook.doc["priority"]), [wake] * number)

    def has_time(self) -> bool:
        """Return whether the invocation has time for one more call."""
        return deadline.allows(self.call_ms + _MARGIN_MS)

    def slot_ms(self) -> int:
        """Return how long this invocation may hold a slot: a turn and its last call, or its remaining time."""
        return deadline.clamp_ms(_TURN_SECONDS * 1000 + self.lease_ms())

    def lease_ms(self) -> int:
        """Return how long an attempt may hold its delivery: one call, and the record of its end."""
        return self.call_ms + _RECORDING_MS


def _places(webhook: Webhook) -> int:
    """Return how many workers may serve the lane at once."""
    return min(int(webhook.doc["maxInFlight"]), share(queue_of(webhook.doc["priority"]).concurrency))


class _Turn:
    """A turn: the time for which a worker serves the lane of one webhook."""

    def __init__(self, server: Server, webhook: Webhook, slot: Slot) -> None:
        self._server, self._webhook, self._slot = server, webhook, slot
        self._failing, self._marked = slot.failing, False
        self.tally = Tally()

    def take(self) -> int:
        """Send due deliveries until none is left, the turn is over, the rate is used up or the lane closes.

        Return the time in milliseconds before which the lane need not be woken again.
        """
        server, until = self._server, monotonic() + _TURN_SECONDS
        while monotonic() < until and server.has_time():
            claimed = server.deliveries.claim(self._webhook.id, server.lease_ms(), oldest=self._failing)
            if claimed is None:
                return 0
            if self._ended(claimed):
                continue
            taken = self._rated(claimed, Limit(self._webhook.doc["rateLimitPerMinute"], _MINUTE_MS))
            if not taken.ok:
                logs.line().count("deliveriesLimited")
                server.deliveries.put_back(claimed, taken.retry_after_ms)
                return taken.retry_after_ms
            if not self._do(claimed):
                return 0
        return 0

    def _rated(self, claimed: Claimed, limit: Limit) -> Taken:
        """Take a token of the rate. If DynamoDB is away, the delivery is put back, and no attempt is used up.

        Raises:
            Unavailable: DynamoDB is away.
        """
        try:
            return self._server.rates.take(f"webhook/{self._webhook.id}", limit)
        except Unavailable:
            with suppress(Unavailable):
                self._server.deliveries.put_back(claimed, _STORE_MS)
            raise

    def _ended(self, claimed: Claimed) -> bool:
        """End a delivery that may not be sent any more; return whether it has ended."""
        if claimed.expired:
            self._server.deliveries.finish(claimed, None, Decision(Status.DEAD, Reason.EXPIRED))
        elif claimed.tries > len(self._server.options.schedule_seconds) + 1:
            # Each attempt's worker died, and perhaps by this delivery.
            self._server.deliveries.finish(claimed, None, Decision(Status.DEAD, Reason.LOST))
        else:
            return False
        return True

    def _do(self, claimed: Claimed) -> bool:
        """Make one attempt, with a log record of its own. Return whether the lane stays open."""
        server, options, webhook = self._server, self._server.options, self._webhook
        with logs.invocation("delivery") as line:
            line.add(requestId=claimed.caused_by, deliveryId=claimed.id, webhookId=webhook.id, type=claimed.type)
            now, kept = datetime.now(UTC), timedelta(hours=options.rotation_hours)
            signing = secrets.signing(webhook.id, webhook.doc, now, kept)
            result = send(webhook.doc["url"], signing, claimed, now, longest_pause=options.longest_pause_seconds)
            decision = decide(result, claimed.tries, options.schedule_seconds)
            line.add(status=result.status, error=result.error, latencyMs=result.latency_ms, outcome=decision.status)
            self._record(claimed, result, decision)
            self.tally.note(result)
            line.count("deliveriesDelivered" if result.ok else "deliveriesFailed")
        if result.gone:
            logs.line().add(webhookDisabled=webhook.id, why=_GONE)
            server.webhooks.disable(webhook.id, _GONE)
            server.deliveries.end_all(webhook.id, Reason.DISABLED)
            return False
        return self._note(result, decision)

    def _record(self, claimed: Claimed, result: Result, decision: Decision) -> None:
        """Record the end of the attempt. While MongoDB is away, try again: else the receiver would be called twice."""
        failures = 0
        while True:
            try:
                return self._server.deliveries.finish(claimed, result, decision)
            except Unavailable:
                failures += 1
                pause = _RECORDING.seconds(failures)
                if not deadline.allows(round(pause * 1000) + _MARGIN_MS):
                    raise
                sleep(pause)

    def _note(self, result: Result, decision: Decision) -> bool:
        """Note a failure or a recovery of the lane; return whether the lane stays open."""
        server, lane = self._server, self._slot.lane
        if not result.ok and (decision.status is Status.DEAD or not self._marked):
            server.health.fail(self._webhook.id, dead=decision.status is Status.DEAD)
            self._marked = True
        if not result.failing:
            if self._failing:
                server.slots.recover(lane)
                # A closed lane had one worker.
                server.wake_all(self._webhook)
            self._failing = False
            return True
        self._failing = True
        if (opens_in_ms := server.slots.fail(lane)) is None:
            return True
        logs.line().count("lanesClosed")
        server.wake(self._webhook, opens_in_ms)
        return False
