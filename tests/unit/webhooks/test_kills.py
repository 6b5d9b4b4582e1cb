"""Workers killed before and after each call of a store: the event is delivered all the same, under one number."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.client import BaseClient
from chalice.app import SQSEvent
from pymongo.collection import Collection

from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.runtime import ids
from chalicelib.core.stores import clients
from chalicelib.webhooks import wiring, worker
from chalicelib.webhooks.queues import WEBHOOK, News
from tests.support.gateway import Context
from tests.support.queue import PREFIX, Killed, record
from tests.support.receiver import Receiver
from tests.support.waiting import eventually
from tests.unit.webhooks.build import add_webhook

#: Every call of a store by workers of webhooks.
_CALLS = [
    (BaseClient, "_make_api_call"),
    *((Collection, name) for name in ("find_one_and_update", "update_one", "insert_many", "find_one")),
]


class Process:
    """A process that dies at its call number *dies_at*, *after* the call took effect or before."""

    def __init__(self, dies_at: int, *, after: bool) -> None:
        self._left, self._after, self.dead = dies_at, after, False

    def call(self, call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Make the call, unless the process dies before. A dead process makes no call."""
        self._left -= 1
        if self._left == 0 and self._after:
            # A refusal is an answer too.
            with suppress(Exception):
                call(*given, **options)
        if self._left == 0 or self.dead:
            self.dead = True
            raise Killed
        return call(*given, **options)


def run(work: Callable[[Any], Any], message: Message) -> bool:
    """Deliver *message* to a worker; return whether the message is settled."""
    context: Any = Context(35_000)
    # A message that came before is worked on alone.
    delivered = {**record("x", "m-1", receives=2), "body": message.model_dump_json()}
    return bool(work(SQSEvent({"Records": [delivered]}, context)) == {"batchItemFailures": []})


def waiting(queue: Queue) -> int:
    """Take all messages of *queue*, and return their number."""
    sqs, url = clients.aws("sqs"), PREFIX + queue.name
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
    for each in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return len(found)


def end_leases(stores: Any) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    stores.deliveries.update_many({"due": {"$exists": True}}, {"$set": {"due": past}})
    stores.webhook_lanes.update_many({}, {"$set": {"slots.$[].until": past}})


@pytest.mark.parametrize("after", [False, True])
def test_an_event_outlives_a_kill_at_any_step(
    stores: Any, receiver: Receiver, options: Callable[..., None], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    # Claims of dead workers end at once.
    options(COORDINATION_CLAIM_LEASE_MS="1", COORDINATION_SKEW_ALLOWANCE_MS="0", EGRESS_ALLOW_LOOPBACK="true")
    kills, dead = 0, True
    while dead:
        kills += 1
        receiver.received.clear()
        webhook = add_webhook(receiver.url)
        wake = Wake(owner=webhook.id, lane=webhook.id)
        news = News(kind="note", id=ids.new_id(), record_version=1, operation="updated", name="told", text="{}")
        # When the worker of the event dies, or the worker that it has woken
        with monkeypatch.context() as patch:
            dead, accepted = _die(Process(kills, after=after), patch, news, wake)
        # Then the messages that come again bring the event, once its leases have ended
        end_leases(stores)
        woken = waiting(WEBHOOK)
        if not accepted:
            eventually(partial(run, worker.accept, news))
            woken += waiting(WEBHOOK)
        assert woken, f"call {kills}"
        assert run(worker.send, wake)
        (delivery,) = stores.deliveries.find({"webhook": webhook.id})
        assert (delivery["status"], delivery["sequence"]) == ("delivered", 1), f"call {kills}"
        # And twice only if the worker died after the call
        assert len(receiver.received) in ({1, 2} if dead and accepted else {1}), f"call {kills}"
        wiring.store().remove(webhook.id, by="ann", operation=ids.new_id())
    # Every step had its turn: claim, transaction, wake, slot, lease, rate, end.
    assert kills > 12


def _die(process: Process, patch: pytest.MonkeyPatch, news: News, wake: Wake) -> tuple[bool, bool]:
    """Run both workers in *process*; return whether the process died, and whether the event was accepted before."""
    accepted = False
    for owner, name in _CALLS:
        patch.setattr(owner, name, _through(process, getattr(owner, name)))
    try:
        run(worker.accept, news)
        accepted = True
        run(worker.send, wake)
    except Killed:
        return True, accepted
    return False, accepted


def _through(process: Process, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **options: process.call(call, *given, **options)
