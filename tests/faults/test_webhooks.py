"""Webhooks while functions are killed, messages come twice, endpoints misbehave and the AWS endpoint restarts.

Each test ends with `Workload.check`: every event of every committed change reaches every webhook.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

import pytest
from pymongo.database import Database
from pymongo.errors import PyMongoError

from chalicelib.core.queueing.sender import Sender
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.records.view import collection_of
from chalicelib.webhooks.queues import EVENT, URGENT, WEBHOOK
from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client, json_of
from tests.support.kill import kill_at_change, kill_caller
from tests.support.receiver import receiving
from tests.support.records import DOC, KIND, RECORDED, TrackedRecords, paused, project, stream_record
from tests.support.stack import NewPerson
from tests.support.waiting import eventually
from tests.support.workloads.endpoints import Call, Failure
from tests.support.workloads.hooks import Hook, told
from tests.support.workloads.webhooks import Workload, running

pytestmark = pytest.mark.stack

Mongo = Database[dict[str, Any]]

#: Twelve pauses in the place of those of a day.
_SCHEDULE = {"WEBHOOKS_SCHEDULE_SECONDS": "[1,1,1,1,2,2,2,2,5,5,5,5]"}
_CALLERS = 2
#: A killed function starts anew for each wake; a backlog would only test how many functions this machine can start.
_MOST_WAITING = 30
#: Functions of a busy machine start slowly, and messages of killed functions come again after 35 s.
_PATIENCE_SECONDS = 300


@pytest.fixture(scope="module", autouse=True)
def _quick(stack: Stack) -> Iterator[None]:
    stack.redeploy(_SCHEDULE)
    yield
    stack.redeploy({})


@pytest.fixture
def workload(admin: Client, database: Mongo) -> Iterator[Workload]:
    with running(admin, database) as workload:
        # One worker of each function first, as a burst of messages would start many at once.
        workload.make(random.Random(0))
        eventually(lambda: all(hook.taken for hook in workload.hooks[:2]), _PATIENCE_SECONDS)
        yield workload


@contextmanager
def load(workload: Workload, seed: int) -> Iterator[None]:
    """Take random steps during the block, as long as few deliveries wait."""
    over = threading.Event()

    def run(number: int) -> None:
        rng = random.Random(seed * 100 + number)
        while not over.is_set():
            workload.act(rng)
            # The callers' own pace.
            over.wait(rng.uniform(0, 0.3))
            eventually(
                lambda: over.is_set() or workload.waiting() < _MOST_WAITING,
                _PATIENCE_SECONDS,
                every_seconds=0.2,
                retry=PyMongoError,
            )

    with ThreadPoolExecutor(_CALLERS) as pool:
        callers = [pool.submit(run, number) for number in range(_CALLERS)]
        try:
            yield
        finally:
            over.set()
    for caller in callers:
        caller.result()


def test_functions_killed_in_mid_delivery_lose_no_event(
    stack: Stack, database: Mongo, workload: Workload, figure: Figure
) -> None:
    kills, began = times(120), monotonic()
    steps = (_kill_accepting, _kill_sending, _kill_projecting, _kill_answered)
    with load(workload, 1):
        for number in range(kills):
            steps[number % len(steps)](stack, database, workload)
    deliveries = workload.check()
    figure(
        "functions killed in mid-delivery",
        f"{kills}; {deliveries} deliveries, {workload.repeated} taken again, settled after {monotonic() - began:.0f} s",
    )


def _kill_accepting(stack: Stack, database: Mongo, _: Workload) -> None:
    """Kill the workers of events as soon as a delivery is made: some wake no lane, some finish no claim."""
    kill_at_change(stack, "event", database.deliveries, {"operationType": "insert"})


def _kill_projecting(stack: Stack, database: Mongo, _: Workload) -> None:
    """Kill the projector after its first write to the view."""
    kill_at_change(stack, "project", database[collection_of(KIND)], {})


def _kill_sending(stack: Stack, _: Mongo, workload: Workload) -> None:
    """Kill a worker that waits for the answer of its call: the call is claimed, and not taken."""
    _kill_calling(stack, workload.hooks[0], "on_call")


def _kill_answered(stack: Stack, _: Mongo, workload: Workload) -> None:
    """Kill a worker that has its answer, and perhaps recorded it."""
    workload.lost_answers += _kill_calling(stack, workload.hooks[1], "on_taken").killed


class _Struck(NamedTuple):
    """A received call, and the number of workers killed for it: 0 if the call's worker had ended before."""

    call: Call
    killed: int


def _kill_calling(stack: Stack, hook: Hook, moment: str, act: Callable[[], object] = lambda: None) -> _Struck:
    """Call *act*, and kill the worker of the next call at *moment* of its endpoint."""
    struck: list[_Struck] = []

    def strike(call: Call) -> Failure:
        setattr(hook.endpoint, moment, lambda _: None)
        struck.append(_Struck(call, kill_caller(stack, "webhook", call.caller)))
        return Failure.DROP

    setattr(hook.endpoint, moment, strike)
    act()
    return eventually(lambda: struck, _PATIENCE_SECONDS)[0]


def test_a_killed_worker_keeps_no_other_delivery_waiting(stack: Stack, admin: Client, database: Mongo) -> None:
    rng = random.Random(4)
    with running(admin, database, [{"events": ["application.*"]}] * 2) as workload:
        hook, neighbour = workload.hooks
        # Given a worker that was killed between claim and send, whose leases last an hour
        # Perhaps the call of another test's event, which is still on its way.
        struck = _kill_calling(stack, hook, "on_call", partial(workload.make, rng))
        assert struck.killed
        first, held = struck.call, {told(struck.call.event)}
        _lease(database, hook, first.id, hours=1)
        # When more happens
        for _ in range(10):
            workload.make(rng)
        # Then both webhooks take all the rest
        committed = workload.committed()
        eventually(lambda: committed - held <= hook.taken and committed <= neighbour.taken, _PATIENCE_SECONDS)
        assert first.id not in hook.times_taken
        # And the killed delivery once its lease has ended
        _lease(database, hook, first.id, hours=0)
        workload.check()
        assert hook.times_taken[first.id] == 1


def _lease(database: Mongo, hook: Hook, delivery_id: str, *, hours: int) -> None:
    """Let the lease of a delivery and the slot of its worker end in so many hours."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    changed = database.deliveries.update_one({"_id": delivery_id, "status": "in-flight"}, {"$set": {"due": until}})
    assert changed.modified_count == 1
    database.webhook_lanes.update_one({"_id": hook.id}, {"$set": {"slots.0.until": until}})


def test_endpoints_that_hang_hold_up_no_other(admin: Client, database: Mongo, figure: Figure) -> None:
    rng, began = random.Random(5), monotonic()
    with running(admin, database, [{}] * 4) as workload:
        # Given endpoints that hang, drip and drop
        healthy, *hostile = workload.hooks
        for hook, failure in zip(hostile, (Failure.HANG, Failure.DRIP, Failure.DROP), strict=True):
            hook.endpoint.fail(failure, 1_000)
        # When
        for _ in range(times(300)):
            workload.make(rng)
        committed = workload.committed()
        # Then the fourth gets everything meanwhile
        eventually(lambda: committed <= healthy.taken, _PATIENCE_SECONDS)
        figure("events beside hanging endpoints", f"{len(committed)}, all taken after {monotonic() - began:.0f} s")
        assert not any(hook.taken for hook in hostile)
        # And the others once they recover
        workload.check()


def test_duplicated_messages_bring_no_second_call(
    stack: Stack, workload: Workload, tracked: TrackedRecords, figure: Figure
) -> None:
    rng, changes = random.Random(6), times(300)
    sqs, prefix = stack.client("sqs"), stack.environment["QUEUES_URL_PREFIX"]
    # Given events that come three times
    with paused(stack, "event"):
        for _ in range(changes):
            workload.make(rng)
        eventually(lambda: Sender(sqs, prefix).depth(EVENT).pending >= changes)
        url, copies = prefix + EVENT.name, 0
        for _ in range(changes // 5):
            found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", ())
            for message in found:
                sqs.send_message(QueueUrl=url, MessageBody=message["Body"])
            copies += len(found)
    # And lanes that are woken for nothing
    for hook in workload.hooks:
        wake = Wake(owner=hook.id, lane=hook.id)
        for queue in (WEBHOOK, URGENT):
            Sender(sqs, prefix).send_all(queue, [wake] * 10)
    # And the stream tells everything once more, a part of it twice
    images = [image for id_ in workload.applications if (image := tracked.image(id_))]
    told = [stream_record(RECORDED[0], image) for image in images]
    project(stack, told + told[::-2])
    # Then each event is delivered once
    deliveries = workload.check()
    figure(
        "duplicated messages",
        f"{copies} copies of events, {len(images)} changes streamed again; {deliveries} deliveries, none taken again",
    )


def test_deliveries_go_on_after_the_emulator_was_restarted(
    stack: Stack, database: Mongo, workload: Workload, figure: Figure
) -> None:
    rounds = times(10)
    with load(workload, 3):
        for _ in range(rounds):
            _wait_for_deliveries(workload)
            stack.emulator.restart()
            # The restart has killed their workers.
            workload.lost_answers += database.deliveries.count_documents({"status": "in-flight"})
    deliveries = workload.check()
    figure("AWS endpoint restarted", f"{rounds} times; {deliveries} deliveries, {workload.repeated} taken again")


def test_events_wait_until_mongod_is_back(
    stack: Stack, mongod: Mongod, admin: Client, person: NewPerson, figure: Figure
) -> None:
    # Given a service, and a webhook that has received
    key = json_of(admin.post(f"/api/users/{person('service', 'officer').username}/keys", {"name": "batch"}), 201)["key"]
    service = Client(stack.url, key)
    with receiving() as receiver:
        new = {"url": receiver.url, "events": ["application.created"], "rateLimitPerMinute": 6_000}
        webhook = json_of(admin.post("/api/webhooks", new), 201)
        made = [json_of(service.post("/api/applications", DOC), 201)["applicationId"]]
        eventually(lambda: len(receiver.received) == 1, _PATIENCE_SECONDS)
        # When mongod is down while changes are committed
        mongod.kill()
        began = monotonic()
        while len(made) < 6 or monotonic() - began < times(60):
            made.append(json_of(service.post("/api/applications", DOC), 201)["applicationId"])
        mongod.restart()
        back = monotonic()
        # Then each is delivered, once and in a sequence without a gap
        eventually(lambda: len(receiver.received) >= len(made), _PATIENCE_SECONDS)
        took = monotonic() - back
        assert sorted(call.event["data"]["applicationId"] for call in receiver.received) == sorted(made)
        assert sorted(call.event["sequence"] for call in receiver.received) == list(range(1, len(made) + 1))
        admin.delete(f"/api/webhooks/{webhook['webhookId']}")
    figure("mongod down", f"{len(made)} changes within {back - began:.0f} s; all told {took:.0f} s after")


def _wait_for_deliveries(workload: Workload) -> None:
    """Wait until deliveries are taken again."""

    def taken() -> int:
        return sum(len(hook.endpoint.taken) for hook in workload.hooks)

    before = taken()
    eventually(lambda: taken() > before + 10, _PATIENCE_SECONDS)
