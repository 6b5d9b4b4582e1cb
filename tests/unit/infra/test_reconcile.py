"""scripts/reconcile: a full reconciliation pass with figures, independent of the hourly pass."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records import reconcile
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.records.models import Change
from chalicelib.core.records.reconcile import PassCursor, PassResult
from chalicelib.core.records.store import Records
from chalicelib.core.stores import binding, clients
from chalicelib.core.stores.binding import Deployment
from infra.operations import reconcile as command
from infra.operations import target
from infra.operations.failures import reporting
from infra.operations.target import Target
from tests.unit.conftest import STAGE

Mongo = Database[dict[str, Any]]
KIND = "application"
DOC = {
    "applicantName": "Ann",
    "email": "ann@example.org",
    "amountMinor": 1_000,
    "currency": "EUR",
    "termMonths": 12,
    "incomeMinor": None,
    "status": "draft",
}


@pytest.fixture
def unprojected(mongodb: Mongo, bound: Deployment, mail: Sender, monkeypatch: pytest.MonkeyPatch) -> Records:
    """A store of records without projection; small steps, so that few records take several steps."""
    monkeypatch.setattr(reconcile, "_AT_ONCE", 3)
    return Records(clients.table("records"), show=lambda _: None)


def run() -> int:
    client: Any = clients.aws
    return command.run(Target(STAGE, "here", client, {}))


def made(unprojected: Records, count: int) -> list[str]:
    ids = [f"A-{number:02}" for number in range(count)]
    for record_id in ids:
        unprojected.create(KIND, record_id, DOC, by="ann", operation=f"make-{record_id}")
    return ids


def live_versions(mongodb: Mongo) -> dict[str, int]:
    return {copy["_id"]: copy["version"] for copy in mongodb[f"records.{KIND}"].find({"live": True})}


def figures(out: str) -> list[list[str]]:
    return [line.rsplit(maxsplit=2) for line in out.splitlines()[2:4]]


def test_missing_copies_are_repaired_and_a_second_run_finds_none(
    unprojected: Records, mongodb: Mongo, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given records without copies and history, and a copy without a record
    ids = made(unprojected, 10)
    unprojected.commit(KIND, Change("A-03", 1, {"termMonths": 6}), by="ann", operation="change")
    mongodb[f"records.{KIND}"].insert_one({"_id": "nobody", "version": 1, "live": True})
    # When
    assert run() == 0
    # Then
    assert live_versions(mongodb) == {record_id: 2 if record_id == "A-03" else 1 for record_id in ids}
    assert all(records_wiring.history().page(KIND, record_id, 1) for record_id in ids)
    assert figures(capsys.readouterr().out) == [["records", "10", "10"], ["lists of application", "11", "1"]]
    assert run() == 0
    assert figures(capsys.readouterr().out) == [["records", "10", "0"], ["lists of application", "10", "0"]]


def test_empty_stage_empties_no_list_of_another_stage(
    unprojected: Records, mongodb: Mongo, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a database with the lists and the mark of another stage
    mongodb[f"records.{KIND}"].insert_one({"_id": "theirs", "version": 1, "live": True})
    binding.rebind(mongodb, Deployment("01OTHER", "prod"))
    # When the empty stage is compared with the database
    with pytest.raises(SystemExit) as ended, reporting("reconcile"):
        run()
    # Then nothing was changed, and the operator learns why
    assert "reconcile: The MongoDB database holdfast belongs to deployment 01OTHER (stage prod)" in str(ended.value)
    assert live_versions(mongodb) == {"theirs": 1}


def test_an_empty_stack_has_no_differences(unprojected: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert figures(capsys.readouterr().out) == [["records", "0", "0"], ["lists of application", "0", "0"]]


def test_an_unreadable_record_is_reported_and_fails_the_command(
    unprojected: Records, mongodb: Mongo, capsys: pytest.CaptureFixture[str], printed: Any
) -> None:
    made(unprojected, 4)
    clients.table("records").put({"pk": f"{KIND}#broken", "version": 1}, when="")
    assert run() == 1
    out, err = capsys.readouterr()
    assert "1 faults" in out
    assert "record_not_read" in err
    # The other records are repaired, and no log record of a function is printed
    assert len(live_versions(mongodb)) == 4
    assert not printed.getvalue()


def test_the_command_leaves_the_cursor_of_the_hourly_pass(unprojected: Records, mongodb: Mongo) -> None:
    made(unprojected, 7)
    bookmark = {"pk": "walk#records", "kind": "", "after": f"{KIND}#A-03"}
    clients.table("coordination").put(bookmark, when="")
    with coordination_wiring.locks().lock("reconcile", 60_000):
        assert run() == 0
    assert clients.table("coordination").get("walk#records") == bookmark
    assert len(live_versions(mongodb)) == 7


def test_an_interrupted_run_is_completed_by_the_next(
    unprojected: Records, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = made(unprojected, 7)
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "advance", failing_advance(1, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run()
    assert len(live_versions(mongodb)) == 3
    assert run() == 0
    assert live_versions(mongodb) == dict.fromkeys(ids, 1)


def test_a_short_outage_is_retried_and_a_long_outage_is_raised(
    unprojected: Records, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(unprojected, 7)
    monkeypatch.setattr(target, "_PAUSES_SECONDS", (0.01,))
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "advance", failing_advance(1, Unavailable(), times=1))
        assert run() == 0
    assert len(live_versions(mongodb)) == 7
    monkeypatch.setattr(reconcile, "advance", failing_advance(1, Unavailable()))
    with pytest.raises(Unavailable):
        run()


def failing_advance(
    after: int, error: BaseException, times: int = 1_000
) -> Callable[[PassCursor], tuple[PassCursor | None, PassResult]]:
    """Return a replacement of `reconcile.advance` that raises *error* for *times* calls, *after* good calls."""
    advance, steps = reconcile.advance, 0

    def stopped(place: PassCursor) -> tuple[PassCursor | None, PassResult]:
        nonlocal steps
        steps += 1
        if after < steps <= after + times:
            raise error
        return advance(place)

    return stopped


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Unavailable("MongoDB is down."), None)])
def test_an_interruption_exits_with_130_and_an_outage_with_a_message(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int | None
) -> None:
    def interrupted(*_: Any) -> int:
        raise error

    monkeypatch.setattr(command, "target_of", lambda *_: Target(STAGE, "here", lambda _: None, {}))
    monkeypatch.setattr(command, "act_as", lambda *_, **__: None)
    monkeypatch.setattr(command, "run", interrupted)
    if code:
        with pytest.raises(SystemExit) as ended:
            command.main([])
        assert ended.value.code == code
    else:
        with pytest.raises(SystemExit, match="reconcile: MongoDB is down"):
            command.main([])
