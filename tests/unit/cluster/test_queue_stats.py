"""Queue metrics: depths from SQS, work that waits in lanes, and exact counts."""

from typing import Any

from chalicelib import slices
from chalicelib.approvals.queues import CALLBACK
from chalicelib.approvals.store import ApprovalStore
from chalicelib.cluster import queue_stats
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.project import Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.stores import clients
from tests.unit.approvals.build import PERSON, answer, put


def test_stats_count_messages_waiting_callbacks_and_finished_work(
    approvals: ApprovalStore, dynamodb: Any, mail: Sender
) -> None:
    # Given a message, a callback whose lane was not woken, and work that was counted
    mail.send(REPAIR, Repair(kind="note", id="n-1", record_version=1))
    answer(approvals, put(approvals, callback_url="https://hooks.example/x"), "approve", PERSON)
    for field in ("completed", "completed", "failed"):
        clients.table("coordination").transact([coordination.counts().adding(REPAIR.name, field)])
    # When
    stats = queue_stats.collect()
    # Then
    assert set(stats.queues) == {queue.name for queue in slices.QUEUES}
    repair, callback = stats.queues[REPAIR.name], stats.queues[CALLBACK.name]
    assert (repair.pending, repair.completed, repair.failed, repair.dead) == (1, 2, 1, 0)
    assert (callback.pending, callback.processing) == (1, 0)
    assert (stats.pending, stats.completed, stats.failed) == (2, 2, 1)
