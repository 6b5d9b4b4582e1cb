"""Messages while functions are killed every second, and while all processes restart: every device gets each one."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from time import monotonic
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.kill import kill
from tests.support.stack import NewPerson
from tests.support.workloads.devices import Workload

pytestmark = pytest.mark.stack

Mongo = Database[dict[str, Any]]

#: Devices of the receiver; they join one after the other in threads of their own.
_DEVICES = ("phone", "tablet", "laptop", "page")
#: The most time for a join.
_PATIENCE_SECONDS = 60


@pytest.fixture
def workload(person: NewPerson, database: Mongo) -> Workload:
    return Workload(person(), _DEVICES, database)


@contextmanager
def every_second(act: Callable[[], object]) -> Iterator[None]:
    """Call *act* once a second in the block."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(1):
            act()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            over.set()
    running.result()


class Strikes:
    """Kills the functions of calls and of frames in turn: each once it has worked since its last end.

    A machine that starts functions slowly would else do nothing but start them.
    """

    def __init__(self, stack: Stack, workload: Workload) -> None:
        self._stack, self._workload, self.killed = stack, workload, 0
        self._turns = cycle(("api", "message"))
        self._worked = {"api": 0, "message": 0}

    def strike(self) -> None:
        """Kill the next of the two functions, if the function has answered since its last end."""
        function = next(self._turns)
        worked = {"api": self._workload.posted, "message": self._workload.framed + self._workload.joins}[function]
        if worked > self._worked[function]:
            self._worked[function] = worked
            self.killed += kill(self._stack, function)


def join(workload: Workload, joins: int) -> None:
    """Let the devices join *joins* times in all, each in a thread."""
    until = monotonic() + _PATIENCE_SECONDS * joins

    def run(number: int) -> None:
        rng, device = random.Random(number), workload.devices[number]
        while device.joins < joins / len(workload.devices):
            assert monotonic() < until
            device.visit(rng)

    with ThreadPoolExecutor(len(workload.devices)) as pool:
        for done in [pool.submit(run, number) for number in range(len(workload.devices))]:
            done.result()


def test_joins_against_a_stream_miss_no_message_while_functions_die(
    stack: Stack, person: NewPerson, workload: Workload, figure: Figure
) -> None:
    joins, per_second, strikes = times(80), times(200), Strikes(stack, workload)
    by_post, by_frame = [person() for _ in range(3)], [person() for _ in range(2)]
    began = monotonic()
    with workload.senders(by_post, by_frame, per_second), every_second(strikes.strike):
        join(workload, joins)
    took = monotonic() - began
    messages = workload.check()
    figure(
        "joins against a stream of messages",
        f"{joins} joins in {took:.0f} s, {messages} messages ({messages / took:.0f} in a second), "
        f"{strikes.killed} functions killed; none missing at {len(_DEVICES)} devices",
    )


def test_every_device_gets_each_message_after_all_processes_restarted(
    stack: Stack, mongod: Mongod, person: NewPerson, workload: Workload, figure: Figure
) -> None:
    rounds = times(10)
    with workload.senders([person(), person()], [person()], 5):
        for _ in range(rounds):
            join(workload, len(_DEVICES) * 2)
            mongod.kill()
            mongod.restart()
            # The restart of the emulator ends its functions and their connections, too.
            stack.emulator.restart()
            for device in workload.devices:
                device.joins = 0
        join(workload, len(_DEVICES))
    messages = workload.check()
    figure("messages while everything restarts", f"{rounds} restarts; {messages} messages, none missing")
