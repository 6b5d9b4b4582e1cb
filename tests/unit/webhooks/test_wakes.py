"""Lanes with many deliveries are woken for several workers: else the death of one would stop the lane."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.webhooks import wiring
from tests.support.receiver import Receiver
from tests.unit.webhooks.build import add_webhook, happening
from tests.unit.webhooks.test_serve import make_all_due, open_lane, wake, woken


def test_a_resumed_lane_is_woken_for_each_delivery_up_to_its_places(stores: Any) -> None:
    few, many = add_webhook(), add_webhook(maxInFlight=3)
    wiring.deliveries().record(few.id, [happening(1)])
    wiring.deliveries().record(many.id, [happening(number) for number in range(10)])
    later = datetime.now(UTC) + timedelta(minutes=5)
    stores.deliveries.update_one({"webhook": few.id}, {"$set": {"due": later}})
    wiring.server().wake_all(few)
    assert woken() == 1
    wiring.server().wake_all(many)
    assert woken() == 4


def test_a_lane_that_recovers_is_woken_for_all_its_places(stores: Any, receiver: Receiver) -> None:
    # Given a closed lane, which only its probe serves
    receiver.answer = lambda _: (503, {})
    webhook = add_webhook(receiver.url, maxInFlight=3)
    wiring.deliveries().record(webhook.id, [happening(number) for number in range(8)])
    wake(webhook)
    make_all_due(stores)
    open_lane(stores)
    before = woken()
    # When
    receiver.answer = lambda _: (204, {})
    wake(webhook)
    # Then
    assert woken() == before + 3
