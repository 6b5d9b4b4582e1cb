"""Two devices of a receiver in any order of events: late sends, lost pushes, lost answers to acknowledgements.

At the end, each device gets what it has not acknowledged, and nothing else.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.frames import Connection, Event
from chalicelib.core.web.roles import Caller, Role
from chalicelib.messages import actions, offer, readers, wiring
from chalicelib.messages.actions import Acknowledged, JoinChat
from chalicelib.messages.mailbox import Admitted
from chalicelib.messages.models import rank
from chalicelib.messages.store import View
from tests.support.faulty_network import explore
from tests.unit.messages.build import ANN, a_message, age

Mongo = Database[dict[str, Any]]
DEVICES = ("phone", "tablet")
#: The collections are shared by all examples, and no account is used by two.
EXAMPLES = count()
PRIORITIES = st.sampled_from(["normal", "high"])


class Device:
    """A device, and what its current join has offered."""

    def __init__(self, name: str, owner: Account) -> None:
        self.name, self.owner = name, owner
        self.acked: set[str] = set()
        self.drop()

    def drop(self) -> None:
        """Open a new connection. What was pushed or offered before and not acknowledged is lost."""
        caller = Caller(self.owner.username, frozenset({Role.USER}), "s", self.owner.account_id)
        self.connection = Connection(ids.new_id(), caller)
        self.joined, self.held, self.offered = False, list[str](), set[str]()


class Machine(RuleBasedStateMachine):
    """One receiver. *stored* has the position of each message."""

    def __init__(self, mongodb: Mongo) -> None:
        super().__init__()
        self.mongodb = mongodb
        self.owner = Account("bob", f"machine-{next(EXAMPLES)}")
        self.devices = {name: Device(name, self.owner) for name in DEVICES}
        self.stored: dict[str, int] = {}
        self.underway: list[tuple[str, str, Admitted]] = []

    @rule(priority=PRIORITIES, pushed=st.booleans())
    def send(self, priority: str, pushed: bool) -> None:
        self.begin(priority)
        self.finish(self.underway.pop(), pushed=pushed)

    @rule(priority=PRIORITIES)
    def begin(self, priority: str) -> None:
        self.underway.append((ids.new_id(), priority, wiring.mailboxes().admit(self.owner)))

    @precondition(lambda self: self.underway)
    @rule(pushed=st.booleans())
    def a_late_send_arrives(self, pushed: bool) -> None:
        self.finish(self.underway.pop(0), pushed=pushed)

    @rule(name=st.sampled_from(DEVICES))
    def join(self, name: str) -> None:
        device = self.devices[name]
        device.held, device.offered = [], set()
        self.take(device, actions.join_chat(device.connection, JoinChat(action="join_chat", device_id=name)))
        device.joined = True

    @rule(name=st.sampled_from(DEVICES), number=st.integers(1, 4), names_it=st.booleans())
    def acknowledge(self, name: str, number: int, names_it: bool) -> None:
        device = self.devices[name]
        chosen, device.held = device.held[:number], device.held[number:]
        if chosen:
            frame = Acknowledged(action="ack", message_ids=chosen, device_id=name if names_it else None)
            device.acked |= set(chosen)
            self.take(device, actions.acknowledge(device.connection, frame))

    @rule(name=st.sampled_from(DEVICES))
    def acknowledge_without_an_answer(self, name: str) -> None:
        device = self.devices[name]
        found = offer.current(device.connection)
        if device.held and found:
            device.acked.add(device.held[0])
            wiring.store().acknowledge(self.owner, [device.held.pop(0)], name, unsettled=found.unsettled)

    @rule(name=st.sampled_from(DEVICES))
    def ping(self, name: str) -> None:
        device = self.devices[name]
        if device.joined:
            self.take(device, offer.remind(device.connection), ping=True)

    @rule(name=st.sampled_from(DEVICES))
    def the_connection_breaks(self, name: str) -> None:
        self.devices[name].drop()

    @rule(seconds=st.sampled_from([10, 60, 130]))
    def time_passes(self, seconds: int) -> None:
        # A send takes less time than a function may run.
        if seconds > 60:
            for underway in self.underway:
                self.finish(underway, pushed=False)
            self.underway.clear()
        age(self.mongodb, seconds)

    def teardown(self) -> None:
        for underway in self.underway:
            self.finish(underway, pushed=False)
        age(self.mongodb, 130)
        for name, device in self.devices.items():
            missing = set(self.stored) - device.acked
            device.drop()
            self.join(name)
            while device.held:
                self.acknowledge(name, len(device.held), True)
            assert device.offered == missing
            assert device.acked == set(self.stored)
            assert wiring.store().choose(self.owner.account_id, 0, 1, None, View(name)) == []
        for collection in ("messages", "message_joins", "mailboxes"):
            # Ageing takes every document.
            self.mongodb[collection].delete_many({})

    def finish(self, underway: tuple[str, str, Admitted], *, pushed: bool) -> None:
        message_id, priority, admitted = underway
        new = a_message(priority=priority)
        assert wiring.store()._insert(message_id, ANN, self.owner, new, admitted)
        self.stored[message_id] = rank(admitted.seq, new.priority)
        for device in self.devices.values():
            if pushed and device.joined:
                device.held.append(message_id)

    def take(self, device: Device, events: Sequence[Event], *, ping: bool = False) -> None:
        """Check the batches: each message once in a join, none that the device has acknowledged, in order."""
        for event in events:
            if event["event"] == "messages":
                got = [item["messageId"] for item in event["items"]]
                assert not set(got) & device.acked
                assert ping or not set(got) & device.offered
                assert got == sorted(got, key=self.stored.__getitem__)
                device.offered |= set(got)
                device.held += [message_id for message_id in got if message_id not in device.held]


def test_no_order_of_events_hides_a_message_from_a_device(mongodb: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offer, "_BATCH_BYTES", 2_000)
    monkeypatch.setattr(readers, "_STEP", 2)
    explore(lambda: Machine(mongodb), examples=20, steps=25)
