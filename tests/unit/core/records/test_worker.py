"""The functions behind the system of record: stream, repair queue and hourly comparison."""

import copy
from typing import Any

import pytest
from chalice.app import CloudWatchEvent, DynamoDBEvent, SQSEvent
from pymongo.collection import Collection

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records import reconcile, worker
from chalicelib.core.records.history import History
from chalicelib.core.records.project import Projector, Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.records.reconcile import PassResult
from chalicelib.core.records.view import View
from chalicelib.core.runtime import ids
from chalicelib.core.stores import binding, clients
from chalicelib.core.stores.binding import Deployment
from tests.support.gateway import Context, event
from tests.unit.core.records.build import NOTE, a_record, item_of, put, streamed
from tests.unit.core.records.conftest import take_events

Copies = Collection[dict[str, Any]]

pytestmark = pytest.mark.usefixtures("wired")


def _stream(*changes: dict[str, Any]) -> DynamoDBEvent:
    context: Any = Context(60_000)
    return DynamoDBEvent({"Records": list(changes)}, context)


def _messages(*repairs: Repair, receives: int = 1) -> SQSEvent:
    records = []
    for repair in repairs:
        record = copy.deepcopy(event("queue")["Records"][0])
        record |= {"messageId": ids.new_id(), "body": repair.model_dump_json(), "receiptHandle": "receipt"}
        record["attributes"]["ApproximateReceiveCount"] = str(receives)
        records.append(record)
    context: Any = Context(50_000)
    return SQSEvent({"Records": records}, context)


def _schedule(remaining_ms: int = 300_000) -> CloudWatchEvent:
    context: Any = Context(remaining_ms)
    return CloudWatchEvent(event("sweep"), context)


# --- the stream


def test_batch_of_the_stream_is_projected_and_counted(view: View, history: History, printed: Any) -> None:
    # When
    worker.project(_stream(streamed(item_of(a_record("a"))), streamed(item_of(a_record("bad", doc={})))))
    # Then
    assert view.sequences(NOTE.name, ["a", "bad"]) == {"a": 1}
    assert len(history.page(NOTE.name, "a", 10)) == 1
    (line,) = (line for line in printed.lines() if line.get("kind") == "stream")
    assert (line["recordsRead"], line["recordsPoisoned"]) == (2, 1)
    assert queueing_wiring.sender().depth(REPAIR).pending == 1


def test_unreachable_store_makes_the_stream_retry_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(View, "apply", _down)
    with pytest.raises(Unavailable):
        worker.project(_stream(streamed(item_of(a_record()))))


def _down(*_: Any, **__: Any) -> None:
    raise Unavailable


# --- the repair queue


def test_repair_delivered_three_times_runs_once(view: View) -> None:
    # Given
    put(a_record(version=2))
    repair = Repair(kind=NOTE.name, id="n-1", record_version=2)
    # When
    for _ in range(3):
        assert worker.repair(_messages(repair)) == {"batchItemFailures": []}
    # Then
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 2}
    assert len(take_events()) == 1
    assert coordination_wiring.counts().read(["repair"], ["completed", "failed"]) == {
        "repair": {"completed": 1, "failed": 0}
    }


def test_repair_for_another_cause_runs_again(wired: Projector, copies: Copies) -> None:
    put(a_record())
    worker.repair(_messages(Repair(kind=NOTE.name, id="n-1", record_version=1)))
    copies.delete_many({})
    worker.repair(_messages(Repair(kind=NOTE.name, id="n-1", record_version=1, cause="by hand")))
    assert copies.count_documents({}) == 1


def test_failed_repairs_are_retried_and_others_succeed(wired: Projector, view: View, mail: Sender) -> None:
    # Given
    put(a_record("bad", doc={}))
    put(a_record("good"))
    batch = _messages(*(Repair(kind=NOTE.name, id=record_id, record_version=1) for record_id in ("bad", "good")))
    # When
    answer = worker.repair(batch)
    # Then
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == [batch.to_dict()["Records"][0]["messageId"]]
    assert view.sequences(NOTE.name, ["good"]) == {"good": 1}


def test_repair_that_fails_for_good_is_dead_lettered_with_reason(mail: Sender) -> None:
    # Given
    put(a_record("bad", doc={}))
    repair = Repair(kind=NOTE.name, id="bad", record_version=1)
    # When the last attempt fails
    assert worker.repair(_messages(repair, receives=REPAIR.attempts)) == {"batchItemFailures": []}
    # Then
    (dead_letter,) = _dead_letters()
    assert Repair.model_validate_json(dead_letter["Body"]) == repair
    assert dead_letter["MessageAttributes"]["reason"]["StringValue"] == "after 12 attempts: KeyError"


def _dead_letters() -> list[dict[str, Any]]:
    client = clients.aws("sqs")
    url = client.get_queue_url(QueueName=f"holdfast-unit-{REPAIR.dead_letters}")["QueueUrl"]
    found: list[dict[str, Any]] = client.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    return found


# --- the comparison


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the name of the lock held during each step."""
    made: list[str] = []

    def step() -> PassResult:
        made.append(coordination_wiring.locks().held()[0].name)
        return PassResult(3, 2, finished=True)

    monkeypatch.setattr(reconcile, "step", step)
    return made


def test_comparison_logs_its_counts(steps: list[str], printed: Any) -> None:
    worker.reconcile(_schedule())
    assert steps == ["reconcile"]
    (line,) = printed.lines()
    assert (line["kind"], line["finished"]) == ("reconcile", True)
    assert (line["recordsCompared"], line["recordsRepaired"]) == (3, 2)
    assert line["requestId"] == event("sweep")["id"]


def test_second_of_two_concurrent_comparisons_is_skipped(steps: list[str], printed: Any) -> None:
    # Given
    lease = coordination_wiring.locks().acquire("reconcile", 60_000, 0)
    # When
    worker.reconcile(_schedule())
    # Then
    assert steps == []
    assert [line.get("reconcilesSkipped") for line in printed.lines()] == [1]
    # And when the first is done, the next compares
    coordination_wiring.locks().release(lease)
    worker.reconcile(_schedule())
    assert len(steps) == 1


def test_failed_comparison_releases_its_lock(monkeypatch: pytest.MonkeyPatch, printed: Any) -> None:
    monkeypatch.setattr(reconcile, "step", _down)
    with pytest.raises(Unavailable):
        worker.reconcile(_schedule())
    assert coordination_wiring.locks().held() == []
    assert [line["kind"] for line in printed.lines()] == ["reconcile"]


@pytest.mark.parametrize("mark", [None, Deployment("01OTHER", "prod")], ids=["no mark", "foreign mark"])
def test_reconciliation_of_an_unmarked_database_changes_nothing(
    mark: Deployment | None, copies: Copies, mongodb: Any, printed: Any
) -> None:
    # Given lists without a record of this stage, in a database that this stage has not marked
    copies.insert_one({"_id": "theirs", "version": 1, "live": True})
    mongodb[binding.COLLECTION].delete_many({})
    if mark:
        binding.rebind(mongodb, mark)
    # When
    worker.reconcile(_schedule())
    # Then the lists are as before, and an error says why
    assert copies.count_documents({"_id": "theirs"}) == 1
    error, line = printed.lines()
    assert (error["level"], error["action"]) == ("ERROR", "database_refused")
    assert ("belongs to deployment 01OTHER" if mark else "carries no mark") in error["message"]
    assert (line["kind"], line["reconcilesRefused"]) == ("reconcile", 1)


def test_comparison_repairs_a_missing_copy(view: View) -> None:
    put(a_record())
    worker.reconcile(_schedule())
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 1}
