from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import progress
from chalicelib.progress import wiring
from chalicelib.progress.errors import ProgressCompleted, ProgressExists, ProgressNotFound
from chalicelib.progress.models import Snapshot
from chalicelib.progress.store import ProgressStore
from tests.unit.progress.build import ANN, BOB, Mongo, age


def test_a_new_progress_has_revision_1_and_every_counter_at_0(store: ProgressStore) -> None:
    made = progress.begin("job", ANN, "activation", 4)
    shown = made.model_dump(mode="json")
    assert {shown.pop("createdAt"), shown.pop("updatedAt")} == {made.model_dump(mode="json")["createdAt"]}
    assert shown == {
        "sessionId": "job",
        "total": 4,
        **dict.fromkeys(["activated", "skipped", "failed", "emailsSent", "emailsFailed", "emailsPending"], 0),
        "percentage": 0.0,
        "rate": 0.0,
        "etaSeconds": None,
        "msg": "",
        "completed": False,
        "type": "activation",
        "revision": 1,
    }
    assert progress.get("job") == made


def test_an_id_in_use_is_refused_whoever_asks(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 4)
    for owner in (ANN, BOB):
        with pytest.raises(ProgressExists):
            progress.begin("job", owner, "activation", 9)
    assert (progress.get("job").owner, progress.get("job").total) == (ANN, 4)


def test_a_repeat_of_the_same_operation_returns_the_progress_as_it_is(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 4, operation="o")
    moved = progress.move("job", {"activated": 1})
    assert progress.begin("job", ANN, "activation", 4, operation="o") == moved


def test_of_concurrent_beginnings_of_an_id_one_wins(store: ProgressStore) -> None:
    def begin(number: int) -> bool:
        try:
            return bool(progress.begin("job", ANN, "activation", number))
        except ProgressExists:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(begin, range(1, 17))) == 1


def test_concurrent_moves_all_count_and_each_has_its_own_revision(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 100)
    with ThreadPoolExecutor(16) as pool:
        moved = list(pool.map(lambda _: progress.move("job", {"activated": 1}), range(60)))
    assert sorted(each.revision for each in moved) == list(range(2, 62))
    assert all(each.activated == each.revision - 1 for each in moved)


def test_a_move_in_an_aborted_transaction_counts_nothing(store: ProgressStore, mongodb: Mongo) -> None:
    before = progress.begin("job", ANN, "activation", 4)
    with mongodb.client.start_session() as session:
        session.start_transaction()
        assert progress.move("job", {"activated": 1}, session=session).revision == 2
        session.abort_transaction()
    assert progress.get("job") == before


def test_a_beginning_and_a_move_share_a_transaction(store: ProgressStore, mongodb: Mongo) -> None:
    with mongodb.client.start_session() as session, session.start_transaction():
        progress.begin("job", ANN, "activation", 4, session=session)
        progress.move("job", {"skipped": 1}, session=session)
    assert (progress.get("job").skipped, progress.get("job").revision) == (1, 2)


def test_percentage_is_the_settled_part_without_pending_mails(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 7)
    assert progress.move("job", {"activated": 1, "skipped": 1, "emailsPending": 1}).percentage == 14.2
    assert progress.move("job", {"emailsPending": -1, "emailsSent": 1}).percentage == 28.5


def test_a_job_completes_when_all_is_settled_and_no_mail_pends(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 3)
    settled = progress.move("job", {"activated": 1, "skipped": 1, "failed": 1, "emailsPending": 1})
    assert (settled.completed, settled.percentage) == (False, 66.6)
    done = progress.move("job", {"emailsPending": -1, "emailsFailed": 1})
    assert (done.completed, done.percentage, done.eta_seconds) == (True, 100.0, 0)


def test_a_completed_job_refuses_every_further_move(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 3)
    last = progress.move("job", {"activated": 1}, msg="Cancelled.", completed=True)
    with pytest.raises(ProgressCompleted):
        progress.move("job", {"activated": 1})
    assert progress.get("job") == last
    assert (last.completed, last.msg, last.percentage) == (True, "Cancelled.", 33.3)


def test_a_message_stays_until_another_one(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 3)
    assert progress.move("job", {}, msg="$activated leads").msg == "$activated leads"
    assert progress.move("job", {"activated": 1}).msg == "$activated leads"


def test_a_clock_that_steps_back_leaves_the_time_of_the_last_change(store: ProgressStore, mongodb: Mongo) -> None:
    progress.begin("job", ANN, "activation", 4)
    age(mongodb, "job", -60)
    ahead = progress.get("job").updated_at
    assert progress.move("job", {"activated": 1}).updated_at == ahead


def test_an_unknown_counter_is_refused(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 3)
    with pytest.raises(ValueError, match="revision"):
        progress.move("job", {"revision": 1})


def test_a_steady_job_shows_its_rate_and_the_time_to_its_end(store: ProgressStore, mongodb: Mongo) -> None:
    moved = _steady(mongodb, "job", updates=30, each=10, seconds=2)
    assert moved.rate == pytest.approx(5, rel=0.05)
    assert moved.eta_seconds == pytest.approx((1000 - moved.activated) / moved.rate, abs=1)


def test_the_rate_follows_the_last_half_minute(store: ProgressStore, mongodb: Mongo) -> None:
    slow = _steady(mongodb, "job", updates=20, each=10, seconds=20).rate
    for _ in range(30):
        age(mongodb, "job", 2)
        moved = progress.move("job", {"activated": 10})
    assert slow == pytest.approx(0.5, rel=0.5)
    assert moved.rate == pytest.approx(5, rel=0.25)


def test_the_first_of_many_moves_at_once_shows_no_absurd_rate(store: ProgressStore) -> None:
    progress.begin("job", ANN, "activation", 1000)
    assert progress.move("job", {"activated": 1}).rate < 1.1


def test_reading_writes_nothing_and_changes_no_figure(store: ProgressStore, mongodb: Mongo) -> None:
    _steady(mongodb, "job", updates=3, each=10, seconds=2)
    before = mongodb.progress.find_one()
    assert progress.get("job") == progress.get("job")
    assert mongodb.progress.find_one() == before


def test_a_progress_expires_a_day_after_its_last_change(store: ProgressStore, mongodb: Mongo) -> None:
    progress.begin("job", ANN, "activation", 3)
    _pass_and_check(mongodb, 24 * 3600)


def test_a_progress_that_is_kept_longer_does_not_expire_unchanged(store: ProgressStore, mongodb: Mongo) -> None:
    progress.begin("job", ANN, "activation", 3, kept_ms=72 * 3_600_000)
    progress.move("job", {"activated": 1})
    _pass_and_check(mongodb, 72 * 3600)


def test_a_completed_progress_expires_after_ten_minutes(store: ProgressStore, mongodb: Mongo) -> None:
    progress.begin("job", ANN, "activation", 1)
    progress.move("job", {"activated": 1})
    _pass_and_check(mongodb, 600)


def _pass_and_check(mongodb: Mongo, seconds: float) -> None:
    """Check that the progress is there just before *seconds* have passed, and gone, with its id free, just after."""
    age(mongodb, "job", seconds - 60)
    assert progress.get("job")
    assert _listed() == ["job"]
    age(mongodb, "job", 61)
    with pytest.raises(ProgressNotFound):
        progress.get("job")
    with pytest.raises(ProgressNotFound):
        progress.move("job", {"activated": 1})
    assert _listed() == []
    assert progress.begin("job", BOB, "activation", 2).revision == 1


def _listed() -> list[str]:
    return [each.session_id for each in wiring.store().page(None, 10, None)]


def _steady(mongodb: Mongo, session_id: str, *, updates: int, each: int, seconds: float) -> Snapshot:
    """Return the last snapshot of a job that finishes *each* parts every *seconds*."""
    progress.begin(session_id, ANN, "activation", 1000)
    for _ in range(updates):
        age(mongodb, session_id, seconds)
        moved = progress.move(session_id, {"activated": each})
    return moved
