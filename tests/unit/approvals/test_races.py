"""Races for a request: exactly one outcome wins, and every reader sees that outcome."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from time import monotonic
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.approvals.errors import AlreadySettled
from chalicelib.approvals.models import Approval, Seen, Status
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.errors import ServiceError
from chalicelib.core.runtime import ids
from tests.support.concurrency import race
from tests.support.waiting import eventually
from tests.unit.approvals.build import (
    CALLER,
    PERSON,
    an_approval,
    answer,
    answer_oldest,
    cancel,
    put,
    put_as,
    put_overdue,
)

Mongo = Database[dict[str, Any]]


@pytest.mark.parametrize("_round", range(5))
def test_racing_answers_and_cancellations_have_one_winner(approvals: ApprovalStore, _round: int) -> None:
    # Given
    actions = [f"choice-{number}" for number in range(20)]
    request_id = put(approvals, actions=actions)
    calls: list[Callable[[], Approval]] = [partial(cancel, approvals, request_id, CALLER) for _ in range(21)]
    calls += [partial(answer, approvals, request_id, action, PERSON) for action in actions]
    calls += [partial(answer, approvals, request_id, action, None) for action in actions]
    calls += [partial(cancel, approvals, request_id, None) for _ in range(3)]
    random.shuffle(calls)
    # When
    results = race(calls)
    # Then
    winners = [result for result in results if isinstance(result, Approval)]
    assert len(results) == 64
    assert len(winners) == 1
    assert all(isinstance(result, AlreadySettled) for result in results if result is not winners[0])
    assert approvals.get(request_id).approval == winners[0]


def test_racing_calls_of_answer_oldest_answer_different_requests(approvals: ApprovalStore) -> None:
    requests = {put(approvals) for _ in range(16)}
    results = race([partial(answer_oldest, approvals, PERSON, "approve")] * 24)
    answered = [result.request_id for result in results if isinstance(result, Approval)]
    assert sorted(answered) == sorted(requests)


def test_racing_puts_under_an_id_keep_one_request(approvals: ApprovalStore) -> None:
    request_id = ids.new_id()
    puts = [partial(put_as, approvals, request_id, an_approval(title=str(number))) for number in range(32)]
    kept = {seen.approval.title for seen in race(puts) if isinstance(seen, Seen)}
    assert kept == {approvals.get(request_id).approval.title}


def test_racing_sweeps_record_each_timeout_once(approvals: ApprovalStore, mongodb: Mongo) -> None:
    for _ in range(40):
        put_overdue(approvals, mongodb.approvals)
    recorded = race([approvals.expire_all] * 16)
    assert sum(count for count in recorded if isinstance(count, int)) == 40


def test_a_reader_of_a_timeout_is_not_contradicted_by_an_answer(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given an answer in time that another write of the document delays
    request_id = put(approvals, 700)
    with mongodb.client.start_session() as session, ThreadPoolExecutor(2) as threads:
        session.start_transaction()
        mongodb.approvals.update_one({"_id": request_id}, {"$set": {"touched": 1}}, session=session)
        answering = threads.submit(answer, approvals, request_id, "approve", PERSON)
        eventually(lambda: _is_running(mongodb, "findAndModify"))
        # When a reader looks past the deadline
        # A list would record the timeout, and wait for the other write as well
        overdue = {"$expr": {"$lt": ["$expiresAt", "$$NOW"]}}
        eventually(lambda: mongodb.approvals.count_documents(overdue))
        looking = threads.submit(approvals.get, request_id)
        wait([looking], timeout=0.2)
        session.abort_transaction()
    # Then the reader's outcome is the final outcome
    assert looking.result().approval == approvals.get(request_id).approval
    assert (answering.exception() is None) == (looking.result().approval.status is Status.RESOLVED)


def _is_running(mongodb: Mongo, command: str) -> bool:
    running = mongodb.client.admin.aggregate([{"$currentOp": {}}, {"$match": {f"command.{command}": "approvals"}}])
    return any(running)


def test_an_answer_at_the_deadline_excludes_the_timeout(approvals: ApprovalStore) -> None:
    # Given
    # Each thread has two watchers: as many threads in all as there are connections.
    with ThreadPoolExecutor(20) as threads:
        # When
        races = list(threads.map(partial(_race_at_deadline, approvals, threads), range(200)))
    # Then
    for answered, seen, final in races:
        assert {seen_status for seen_status in seen if seen_status is not Status.PENDING} <= {final.status}
        if isinstance(answered, Approval):
            assert final == answered
        else:
            assert isinstance(answered, AlreadySettled)
            assert final.status is Status.TIMEOUT


def _race_at_deadline(
    approvals: ApprovalStore, threads: ThreadPoolExecutor, number: int
) -> tuple[Approval | ServiceError, list[Status], Approval]:
    """Answer a request near its deadline, while watchers read the request and record the timeout."""
    timeout_ms = 40
    request_id = put(approvals, timeout_ms)
    due = monotonic() + timeout_ms / 1000
    over = threading.Event()
    looks: list[Callable[[], Approval]] = [
        lambda: approvals.get(request_id).approval,
        lambda: approvals.expire(request_id).approval,
    ]
    seen: list[Status] = []

    def watch(look: Callable[[], Approval]) -> None:
        while not over.is_set():
            seen.append(look().status)

    # New threads for the watchers, as other races occupy those of the pool.
    watchers = [threading.Thread(target=watch, args=(look,)) for look in looks]
    # A random moment around the deadline brings up both outcomes.
    over.wait(due - monotonic() + random.uniform(-0.012, 0.004))
    for watcher in watchers:
        watcher.start()
    try:
        answered: Approval | ServiceError = answer(approvals, request_id, "approve", PERSON)
    except ServiceError as refused:
        answered = refused
    over.wait(max(0, due - monotonic()))
    approvals.expire_all()
    over.set()
    for watcher in watchers:
        watcher.join()
    return answered, seen, approvals.get(request_id).approval
